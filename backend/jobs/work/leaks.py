"""The work of a search for near-duplicates between both sides of a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from backend.data.demonstration import Demonstration
from backend.data.near import Near, near_duplicates, near_words
from backend.documents import validate
from backend.errors import StopRequested
from backend.jobs.leaks import LeaksConfig
from backend.jobs.tasks import demonstrations, find_task
from backend.jobs.work.context import JobContext

_KEPT: Final = 200


def leaks(job: JobContext) -> None:
    """Compares all rows, and keeps what it found; StopRequested if the user ends it."""
    config = validate(LeaksConfig, job.config, f"search {job.run_id}")
    version = find_task(job.database, config.task).version

    def told(done: int, total: int) -> None:
        job.recorder.progress(done, total, None, "comparing")
        if job.recorder.stop_requested():
            raise StopRequested(f"stopped after {done:,} of {total:,} training rows")

    training = demonstrations(job.database, version.id, "training")
    held_out = demonstrations(job.database, version.id, "held_out")
    found = list(near_duplicates(training, held_out, told))
    places = _places(training, 1), _places(held_out, len(training) + 1)
    job.recorder.result(
        {
            "leaks": {
                "found": len(found),
                "held_out": version.held_out,
                "sentence": near_words(found),
                "pairs": [_document(near, *places) for near in found[:_KEPT]],
            }
        }
    )
    job.recorder.progress(version.training, version.training, 0.0, "done")


def _places(rows: Sequence[Demonstration], first: int) -> dict[int, int]:
    """Where each row of a side stands in the version, by its number in the side's file."""
    return {row.row: place for place, row in enumerate(rows, first)}


def _document(
    near: Near, training: Mapping[int, int], held_out: Mapping[int, int]
) -> dict[str, Any]:
    return {
        **near._asdict(),
        "likeness": round(near.likeness, 4),
        "places": {"training": training[near.training], "held_out": held_out[near.held_out]},
    }
