"""The little of a run that lists are polled for: no configuration, no result."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import exists, func, select

from storage.database import Database
from storage.models import Evaluation, Run, Task, TaskVersion, Trace


class RunHead(NamedTuple):
    """A run as a line of a list; ``group`` is its own id where it was launched alone."""

    id: str
    name: str
    method: str | None
    state: str
    group: str
    created_at: datetime
    task: str


def run_heads(
    database: Database,
    having: type[Trace] | type[Evaluation],
    *,
    kind: str | None = None,
    limit: int | None = None,
) -> list[RunHead]:
    """The newest runs, of ``kind``, that have traces or scores, newest first."""
    task = func.coalesce(Task.name, Run.config["task"].as_string(), "")
    statement = (
        select(Run.id, Run.name, Run.method, Run.state, func.coalesce(Run.group_id, Run.id),
               Run.created_at, task)
        .outerjoin(TaskVersion, TaskVersion.id == Run.task_version_id)
        .outerjoin(Task, Task.id == TaskVersion.task_id)
        .where(exists().where(having.run_id == Run.id))
        .order_by(Run.seq.desc())
        .limit(limit)
    )  # fmt: skip
    if kind is not None:
        statement = statement.where(Run.kind == kind)
    with database.read() as session:
        return [RunHead(*row) for row in session.execute(statement)]
