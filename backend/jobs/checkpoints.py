"""A run's checkpoint by its step, or what there is in its place."""

from __future__ import annotations

from backend.errors import StateError
from backend.jobs.archives import check_not_archived
from storage.artifacts import Artifacts
from storage.database import Database
from storage.models import Checkpoint


def find_checkpoint(database: Database, run_id: str, step: int | None = None) -> Checkpoint:
    """The checkpoint of ``step``, or the newest one without a step. Raises StateError."""
    artifacts = Artifacts(database)
    found = artifacts.checkpoint(run_id, step)
    if found is not None:
        return found
    steps = ", ".join(str(point.step) for point in artifacts.checkpoints(run_id))
    if steps:
        raise StateError(
            f"there is no checkpoint of step {step}, only of {steps}",
            where=f"run {run_id}",
            remedy="give one of these, or none for the last",
        )
    check_not_archived(database, run_id)
    raise StateError(
        "the run has no checkpoint yet",
        where=f"run {run_id}",
        remedy=f"let it train to its first checkpoint, see: sdlab show {run_id}",
    )
