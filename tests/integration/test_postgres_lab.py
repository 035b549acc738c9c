"""A lab whose tables lie in PostgreSQL does what one with SQLite does, number for number."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from backend.jobs.usage import KEYS, MOST
from storage.database import Database, open_database
from storage.models import Metric
from storage.runs import Runs
from tests.cli.command import Command
from tests.cli.contract import one_document
from tests.integration.conftest import STEPS, Loop, train_options
from tests.postgres import PostgresServer

DEADLINE_S = 120.0


@pytest.fixture
def url(postgres: PostgresServer) -> Iterator[str]:
    url = postgres.empty()
    yield url
    postgres.drop(url)


def points(database: Database, run_id: str) -> dict[tuple[str, int], float | None]:
    """The curves of a run without those of its machine."""
    statement = select(Metric.key, Metric.step, Metric.value).where(
        Metric.run_id == run_id, Metric.key.not_in(["step_s", *KEYS, *MOST.values()])
    )
    with database.read() as session:
        return {(key, step): value for key, step, value in session.execute(statement)}


def kill_worker(database: Database, step: int) -> None:
    """Kills the worker of the only training run once that has done ``step`` steps."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        for run in Runs(database).find("killed"):
            assert run.ended_at is None, run.error
            if run.step >= step and run.pid is not None:
                os.kill(run.pid, signal.SIGKILL)
                return
        time.sleep(0.01)
    raise AssertionError(f"step {step} was not reached within {DEADLINE_S} s")


def test_a_killed_run_ends_with_the_numbers_of_the_run_on_sqlite(
    loop: Loop, url: str, tiny_folder: Path, tmp_path: Path
) -> None:
    command = Command(tmp_path / "home")

    def call(*arguments: Any) -> Any:
        return command(*arguments, database_url=url).done()

    files = loop.command.home.parent
    call(
        *("task", "add", files / "lights.jsonl", "--name", "lights"),
        *("--held-out", files / "apart.jsonl"),
    )
    training = command.start(
        *("train", *train_options(tiny_folder), "--name", "killed", "--wait", "--json"),
        database_url=url,
    )
    database = open_database(url)
    try:
        kill_worker(database, 6)
        out, err = training.communicate(timeout=DEADLINE_S)
        assert training.returncode == 0, err
        run = one_document(out)
        assert (run["state"], run["attempt"]) == ("done", 2)
        found, expected = points(database, run["id"]), points(loop.lab.database, loop.sdft["id"])
        assert [step for key, step in sorted(found) if key == "loss"] == list(range(1, STEPS + 1))
        assert found == expected
    finally:
        training.kill()
        database.close()

    assert [each["id"] for each in call("runs")] == [run["id"]]
    assert call("export", "killed", "--to", tmp_path / "adapter")["bytes"] > 0
    checks = {check["name"]: check for check in call("doctor")["checks"]}
    assert checks["database"]["ok"]
    assert not (command.home / "lab.sqlite").exists()


def test_a_server_that_does_not_answer_is_told_without_its_password(tmp_path: Path) -> None:
    command = Command(tmp_path / "home")
    url = f"postgresql://someone:hunter2@/lab?host={tmp_path}"
    ended = command("runs", database_url=url)
    assert ended.code == 2
    assert ended.document["error"]["where"] == "SDLAB_DATABASE_URL"
    assert "hunter2" not in ended.out + ended.err
    database = {
        check["name"]: check for check in command("doctor", database_url=url).document["checks"]
    }
    assert not database["database"]["ok"]
    assert "hunter2" not in str(database)
