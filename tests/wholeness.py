"""What holds in a lab after any fault, whoever suffered it."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path

import psutil
from sqlalchemy import text

from storage.claims import Claims
from storage.database import Database
from storage.metrics import Metrics
from storage.models import FINAL, Run
from storage.runs import Runs

DEADLINE_S = 30.0
# The kinds of runs that tell a loss at each step; "count" is that of tests/jobs/sample_work.py.
LEARNING = ("train", "count")


def assert_lab_whole(
    database: Database, home: Path, *told: str, waiting: Collection[str] = ()
) -> None:
    """No run, metric or step is lost or doubled, nothing is left over, and people are ``told``.

    All runs have ended but those that are ``waiting``, by id. What is told stands in the events,
    the errors and the logs of the runs.
    """
    runs = Runs(database).all()
    assert {run.id for run in runs if run.state not in FINAL} == set(waiting)
    for run in (each for each in runs if each.kind in LEARNING):
        steps = [step for step, _ in Metrics(database).series(run.id, "loss")]
        # The last steps of a run that was lost as it died go with it; a resume does them again.
        last = len(steps) if run.state == "lost" else run.step
        assert steps == list(range(1, last + 1)), f"{run.name}, at step {run.step}"
        assert last <= run.step
    for run in runs:
        if run.state in ("failed", "lost"):
            assert run.error is not None
            assert all(run.error[part] for part in ("message", "where", "remedy")), run.error
            assert "Traceback" not in run.error["message"]
    assert {slot.run_id for slot in Claims(database).slots()} <= {None}
    assert list(home.rglob("*.partial")) == []
    if database.is_sqlite:
        with database.read() as session:
            assert session.scalar(text("PRAGMA integrity_check")) == "ok"
            assert session.execute(text("PRAGMA foreign_key_check")).all() == []
    said = "\n".join(_said_of(database, home, run) for run in runs)
    assert [words for words in told if words not in said] == [], said
    deadline = time.monotonic() + DEADLINE_S
    while left := processes_of(home):
        assert time.monotonic() < deadline, left
        time.sleep(0.02)


def processes_of(home: Path) -> list[psutil.Process]:
    """The workers of a lab, and whatever else was started for it."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if str(home) in words and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def _said_of(database: Database, home: Path, run: Run) -> str:
    messages = [event.message for event in Runs(database).events(run.id)]
    log = home / run.log_path if run.log_path else None
    logged = log.read_text("utf-8", errors="replace") if log and log.is_file() else ""
    return "\n".join([*messages, str(run.error or ""), logged])
