"""Replays: which steps of a run can be computed again, and the row that asks for it."""

from __future__ import annotations

from pydantic import Field

from backend.config import Frozen
from backend.documents import validate
from backend.errors import StateError
from backend.jobs.estimates import check_memory
from backend.jobs.queue import find_run
from backend.settings import Settings
from storage.database import Database
from storage.metrics import Metrics
from storage.models import Run


class ReplayConfig(Frozen):
    """Steps of a run to be computed again, from the checkpoint before ``step`` up to it."""

    run: str = Field(min_length=1)
    step: int = Field(ge=1)


def replay_run(database: Database, settings: Settings, name: str, step: int) -> Run:
    """The row of a replay. Raises NotFound, and StateError for a step that the run has not."""
    run = find_run(database, name)
    config = validate(ReplayConfig, {"run": run.id, "step": step}, "replay")
    steps = [point for point, _ in Metrics(database).series(run.id, "loss")]
    if run.kind != "train" or step not in steps:
        known = f"its steps go from {steps[0]} to {steps[-1]}" if steps else "it has none yet"
        raise StateError(
            f"{run.name} has no step {step} to replay",
            where=f"run {run.id}",
            remedy=f"name a step of a training run; {known}",
        )
    if run.config.get("devices", 1) > 1:
        raise StateError(
            f"{run.name} was trained on {run.config['devices']} devices, whose sums one device "
            "does not repeat bit for bit",
            where=f"run {run.id}",
            remedy="replay a run on one device",
        )
    check_memory(settings, run.model)
    return Run(
        name=f"{run.name} · replay of step {step}",
        kind="replay",
        config=config.model_dump(mode="json"),
        task_version_id=run.task_version_id,
        model=run.model,
        total_steps=step,
    )
