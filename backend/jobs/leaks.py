"""The search for held-out rows that nearly stand among the training rows, as a job of its own."""

from __future__ import annotations

from pydantic import Field

from backend.config import Frozen
from backend.jobs.tasks import find_task, pinned_name
from storage.database import Database
from storage.models import Run


class LeaksConfig(Frozen):
    """The task version whose two sides are compared."""

    task: str = Field(min_length=1)


def leaks_run(database: Database, task: str) -> Run:
    """The row of a search. Raises NotFound."""
    stored = find_task(database, task)
    return Run(
        name=f"{stored.task.name} · near-duplicates",
        kind="leaks",
        config=LeaksConfig(task=pinned_name(stored)).model_dump(mode="json"),
        task_version_id=stored.version.id,
        total_steps=stored.version.training,
    )
