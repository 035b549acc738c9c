"""Hundreds of tiny runs while workers and supervisors are killed at random: `make soak`.

Bounded in time and seeded; what was counted is printed, and written as JSON with ``--to``.
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import psutil
from sqlalchemy import text

from backend.jobs import queue
from backend.jobs.launchers import worker_environment
from backend.jobs.watches import process_of_row
from backend.settings import Settings
from storage.claims import Claims
from storage.database import Database, migrate, open_database
from storage.metrics import Metrics
from storage.models import ACTIVE, Run
from storage.runs import Runs

HERE = Path(__file__).parent
SLOTS = 6
WAITING = 12
# How often each fault comes, beside the others.
FAULTS = {"worker killed": 8, "supervisor killed": 4, "worker suspended": 1, "database locked": 1,
          "second supervisor": 2}  # fmt: skip


class Soak:
    """A lab, its supervisor, and what was done to both."""

    def __init__(self, home: Path, seed: int) -> None:
        self.settings = Settings(home=home, lease_s=15, beat_s=0.5, grace_s=15, max_attempts=1000)
        self.database: Database = open_database(self.settings.database)
        migrate(self.database)
        self.random = random.Random(seed)
        self.faults: Counter[str] = Counter()
        self.supervisor = self._supervise()

    def add_runs(self) -> None:
        """Keeps some runs waiting."""
        waiting = len(Runs(self.database).all(states=["queued"]))
        for _ in range(WAITING - waiting):
            steps = self.random.randrange(4, 40)
            config = {"steps": steps, "lags_s": self.random.choice((0, 0.01, 0.05))}
            run = Run(name="soak", kind="count", config=config, total_steps=steps)
            queue.enqueue(self.database, self.settings, run)

    def do_harm(self) -> None:
        """One fault, drawn by chance; nothing where there is nobody to suffer it."""
        fault = self.random.choices([*FAULTS], [*FAULTS.values()])[0]
        workers = [run for run in Runs(self.database).all(states=ACTIVE) if process_of_row(run)]
        if fault.startswith("worker"):
            if not workers:
                return
            number = signal.SIGKILL if fault == "worker killed" else signal.SIGSTOP
            with suppress(ProcessLookupError):
                os.kill(self.random.choice(workers).pid or 0, number)
        elif fault == "supervisor killed":
            self.supervisor.kill()
            self.supervisor.wait()
        elif fault == "second supervisor":
            # One of the two is refused: the second, unless the first is still on its way.
            both = [self.supervisor, self._supervise()]
            while all(each.poll() is None for each in both):
                time.sleep(0.05)
            self.supervisor = next((each for each in both if each.poll() is None), both[0])
        else:
            with closing(sqlite3.connect(self.settings.home / "lab.sqlite", timeout=60)) as writer:
                writer.execute("BEGIN IMMEDIATE")
                time.sleep(2)
        self.faults[fault] += 1
        if self.supervisor.poll() is not None:
            self.supervisor = self._supervise()

    def figures(self) -> dict[str, object]:
        """What has become of the runs; all but the first three and the faults must be none."""
        runs = Runs(self.database).all()
        wrong = [run.id for run in runs if self._has_wrong_metrics(run)]
        with self.database.read() as session:
            verdict = session.scalar(text("PRAGMA integrity_check"))
        return {
            "runs": len(runs),
            "attempts": sum(run.attempt for run in runs),
            "faults": dict(self.faults),
            "runs not done": sum(run.state != "done" for run in runs),
            "runs with a metric lost or doubled": len(wrong),
            "slots held": sum(slot.run_id is not None for slot in Claims(self.database).slots()),
            "half-written files": len(list(self.settings.home.rglob("*.partial"))),
            "processes left": len(self._processes()),
            "integrity_check": verdict,
        }

    def wait_for_workers(self) -> None:
        """Workers end a moment after their runs."""
        until_s = time.monotonic() + 30
        while self._processes() and time.monotonic() < until_s:
            time.sleep(0.2)

    def end(self) -> None:
        """Ends whatever still runs."""
        self.supervisor.kill()
        self.supervisor.wait()
        for process in self._processes():
            process.kill()
        self.database.close()

    def _supervise(self) -> "subprocess.Popen[bytes]":
        environment = worker_environment(self.settings, os.environ)
        root = HERE.parents[1]
        return subprocess.Popen(
            [sys.executable, str(HERE / "supervising.py"), "never", str(SLOTS)],
            env=environment | {"PYTHONPATH": f"{root}:{HERE}"},
            stderr=subprocess.DEVNULL,
        )

    def _has_wrong_metrics(self, run: Run) -> bool:
        counted = [(step, float(step)) for step in range(1, run.config["steps"] + 1)]
        return (
            run.state == "done" and Metrics(self.database).series(run.id, "step_again") != counted
        )

    def _processes(self) -> list[psutil.Process]:
        home = str(self.settings.home)
        found = psutil.process_iter(["cmdline", "status"])
        alive = [each for each in found if each.info["status"] != psutil.STATUS_ZOMBIE]
        return [each for each in alive if home in (each.info["cmdline"] or [])]


def soak(minutes: float, seed: int) -> dict[str, object]:
    """Does harm for three quarters of the time, then lets the rest of the runs end."""
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sdlab-soak-") as folder:
        lab = Soak(Path(folder), seed)
        try:
            while time.monotonic() - began_s < minutes * 45:
                lab.add_runs()
                time.sleep(lab.random.uniform(0.1, 1.0))
                lab.do_harm()
            harmed_s = time.monotonic() - began_s
            while Runs(lab.database).all(states=["queued", *ACTIVE]):
                if time.monotonic() - began_s > minutes * 60:
                    break
                time.sleep(0.2)
            lab.wait_for_workers()
            figures = lab.figures()
        finally:
            lab.end()
    seconds = {
        "seconds": round(time.monotonic() - began_s),
        "of which with faults": round(harmed_s),
    }
    return {"seed": seed, **seconds, **figures}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--to", type=Path, help="file for the figures")
    options = parser.parse_args()
    figures = soak(options.minutes, options.seed)
    document = json.dumps(figures, indent=1)
    print(document)
    if options.to:
        options.to.write_text(document + "\n", "utf-8")
    bad = ("runs not done", "runs with a metric lost or doubled", "slots held",
           "half-written files", "processes left")  # fmt: skip
    return int(any(figures[name] for name in bad) or figures["integrity_check"] != "ok")


if __name__ == "__main__":
    sys.exit(main())
