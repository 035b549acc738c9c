"""Lists of runs: whole documents, in a number of queries that does not grow with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from backend.lab import Lab
from storage.claims import Claim, Claims, Process
from storage.database import Database
from storage.evaluations import put_evaluation
from storage.metrics import put_metrics
from storage.models import Evaluation

HERE = Process(pid=1, pid_created=2.0, boot_id="b", host="h")


@pytest.fixture
def statements(lab: Lab) -> Iterator[list[str]]:
    """What is asked of the database from now on."""
    asked: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(lab.database.engine, "before_cursor_execute", note)
    yield asked
    event.remove(lab.database.engine, "before_cursor_execute", note)


@pytest.fixture
def queue_runs(lab: Lab, add_task: Callable[..., str], tiny_folder: Path) -> Callable[..., Any]:
    """Queues runs that each have a metric and a score."""
    add_task()

    def add(count: int) -> list[str]:
        document = {"task": "lights", "method": "sft", "model": str(tiny_folder)}
        ids = [lab.train(lab.configure({**document, "seed": n}))[0] for n in range(count)]
        for run_id in ids:
            _fill(lab.database, run_id)
        return ids

    return add


def _fill(database: Database, run_id: str) -> None:
    score = {"score": 0.5, "n": 2, "low": 0.1, "high": 0.9}
    with database.write() as session:
        put_metrics(session, run_id, [("loss", 1, 0.5), (run_id, 1, 1.0)])
        put_evaluation(
            session,
            Evaluation(run_id=run_id, step=0, probe="task:lights", metric="exact", subset=False,
                       fingerprint="", details={}, **score),
            [],
        )  # fmt: skip


def test_many_runs_take_as_many_queries_as_few(
    lab: Lab, queue_runs: Callable[..., Any], statements: list[str]
) -> None:
    queue_runs(2)
    statements.clear()
    assert len(lab.runs()) == 2
    few = len(statements)
    assert few <= 20
    queue_runs(10)
    statements.clear()
    assert len(lab.runs()) == 12
    assert len(statements) == few


def test_listed_runs_are_those_that_are_shown(lab: Lab, queue_runs: Callable[..., Any]) -> None:
    ids = queue_runs(3)
    assert lab.runs() == [lab.run(run_id) for run_id in reversed(ids)]
    assert all(run["metrics"].keys() == {"loss", run["id"]} for run in lab.runs())
    assert all(len(run["evaluations"]) == 1 for run in lab.runs())


def test_the_log_of_a_run_is_an_absolute_path(lab: Lab, queue_runs: Callable[..., Any]) -> None:
    (run_id,) = queue_runs(1)
    claims = Claims(lab.database)
    claims.ensure_slots(["cpu:0"])
    assert lab.run(run_id)["log"] is None
    run = claims.claim("me")
    assert run is not None
    claims.launched(Claim(run.id, "me", 1), HERE, f"runs/{run_id}/worker.log")
    assert lab.run(run_id)["log"] == str(lab.settings.home / "runs" / run_id / "worker.log")
