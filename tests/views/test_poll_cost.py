"""What pages ask for every 2 s stays small, however many runs a lab has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event

from backend.lab import Lab
from tests.views.stored_runs import add_run, add_scores, add_trace

RUNS = 70


@pytest.fixture
def statements(lab: Lab) -> Iterator[list[str]]:
    """The statements sent to the lab's database."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("BEGIN"):
            sent.append(statement)

    event.listen(lab.database.engine, "before_cursor_execute", note)
    yield sent
    event.remove(lab.database.engine, "before_cursor_execute", note)


def test_lists_of_runs_come_in_few_queries_and_without_configurations(
    lab: Lab, statements: list[str]
) -> None:
    runs = [add_run(lab.database, f"run {i}") for i in range(RUNS)]
    for run in runs:
        add_trace(lab.database, run, 0)
        add_scores(lab.database, run, "task:lights", 0, {"a": 1.0})
    statements.clear()
    traced = lab.views.traced_runs()
    assert (len(statements), len(traced)) == (2, 60)
    assert traced[0]["name"] == f"run {RUNS - 1}"
    scored = lab.views.scored_runs()
    assert (len(statements), len(scored)) == (3, RUNS)
    lab.views.scores_version([run.id for run in runs[:3]])
    assert len(statements) == 5
    for statement in statements:
        columns = statement.partition("FROM")[0]
        assert "runs.result" not in columns
        # One of its keys may be looked up, but the whole is not sent.
        assert not re.search(r"(?<!\()runs\.config\b", columns)
        assert "blob" not in columns
