"""The work of a search for near-duplicates between both sides of a task."""

from __future__ import annotations

from typing import Any, Final

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

    found = list(
        near_duplicates(
            demonstrations(job.database, version.id, "training"),
            demonstrations(job.database, version.id, "held_out"),
            told,
        )
    )
    job.recorder.result(
        {
            "leaks": {
                "found": len(found),
                "held_out": version.held_out,
                "sentence": near_words(found),
                "pairs": [_document(near) for near in found[:_KEPT]],
            }
        }
    )
    job.recorder.progress(version.training, version.training, 0.0, "done")


def _document(near: Near) -> dict[str, Any]:
    return {**near._asdict(), "likeness": round(near.likeness, 4)}
