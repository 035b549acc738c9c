"""Which checkpoints of a run stay: the last ones, and the best by its task's score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from storage.artifacts import Artifacts
from storage.database import Database
from storage.evaluations import Evaluations
from storage.models import Checkpoint

_TASK: Final = "task"


def superfluous(database: Database, run_id: str, keep: int) -> Sequence[Checkpoint]:
    """The checkpoints on disk beyond the last ``keep`` and the best; none where ``keep`` is 0.

    The best has the highest score of the run's own task, the earliest of equals; a run that has
    not been scored at a checkpoint has no best one.
    """
    points = Artifacts(database).checkpoints(run_id)
    if not keep or len(points) <= keep:
        return ()
    steps = {point.step for point in points}
    scores = [
        (found.score, -found.step)
        for found in Evaluations(database).of_run(run_id)
        if found.step in steps and found.probe == _TASK
    ]
    best = -max(scores)[1] if scores else None
    return [point for point in points[:-keep] if point.step != best]
