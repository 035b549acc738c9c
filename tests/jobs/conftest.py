"""A temporary lab, and work that a worker can import."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from backend.jobs import queue
from backend.jobs.identity import send
from backend.jobs.launchers import Launcher, launch_local
from backend.jobs.supervisor import Supervisor
from backend.settings import Settings
from storage.claims import Process
from storage.database import Database, migrate, open_database
from storage.metrics import Metrics
from storage.models import Run
from storage.runs import Runs
from tests.wholeness import assert_lab_whole

ROOT = Path(__file__).parents[2]
DEADLINE_S = 60.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, beat_s=0.05, lease_s=30, grace_s=30, stall_s=60, max_attempts=2)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    database = open_database(settings.database)
    migrate(database)
    yield database
    for run in Runs(database).all():
        if run.pid is not None:
            send(Process(run.pid, run.pid_created, run.boot_id, run.host), signal.SIGKILL)
    database.close()


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> Launcher:
    """The local launcher with the work of sample_work."""
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{Path(__file__).parent}")
    return partial(launch_local, work="sample_work")


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def supervisor(
    database: Database, settings: Settings, launcher: Launcher, clock: Clock
) -> Iterator[Supervisor]:
    with Supervisor(database, settings, launcher, clock) as supervisor:
        supervisor.acquire("http://127.0.0.1:7860")
        yield supervisor


@pytest.fixture
def add_run(database: Database, settings: Settings) -> Callable[..., Run]:
    def add(kind: str = "count", name: str = "a run", **config: Any) -> Run:
        run = Run(name=name, kind=kind, config=config, total_steps=config.get("steps", 0))
        return queue.enqueue(database, settings, run)[0]

    return add


@pytest.fixture
def wait_for(database: Database, supervisor: Supervisor) -> Callable[..., Run]:
    """Ticks until the run is in one of the states, or a test of the row says so."""

    def wait(run_id: str, *states: str, until: Callable[[Run], bool] | None = None) -> Run:
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            supervisor.tick()
            run = Runs(database).get(run_id)
            assert run is not None
            if run.state in states or (until is not None and until(run)):
                return run
            time.sleep(0.02)
        raise AssertionError(f"run {run_id} is {run.state} after {DEADLINE_S} s")

    return wait


@pytest.fixture
def assert_whole(database: Database, settings: Settings) -> Callable[..., None]:
    """The lab is whole, and this run has counted each of its steps once."""

    def check(run: Run, attempt: int, *told: str, state: str = "done") -> None:
        assert_lab_whole(database, settings.home, *told)
        found = Runs(database).get(run.id)
        assert found is not None
        assert (found.state, found.attempt) == (state, attempt), found.error
        last = found.config["steps"] if state == "done" else found.step
        counted = [(step, float(step)) for step in range(1, last + 1)]
        assert Metrics(database).series(run.id, "step_again") == counted
        assert Metrics(database).latest(run.id)["loss"] == 1 / last

    return check
