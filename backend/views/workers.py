"""How a run's worker is doing: its last sign of life, its pace, what it takes of its machine."""

from __future__ import annotations

from typing import Final

from backend.jobs.documents import Document
from backend.jobs.usage import KEYS, MOST
from storage.database import Database
from storage.metrics import Metrics
from storage.models import ACTIVE, now
from storage.runs import Runs

# Median of the latest steps: evaluation and checkpoints make single ones long.
_STEPS: Final = 10


def worker_document(database: Database, run_id: str) -> Document:
    """Seconds since its last beat, seconds a step, and its use; None where unknown.

    Of memory also the most so far; once the run has ended, that is all.
    """
    run = Runs(database).get(run_id)
    is_active = run is not None and run.state in ACTIVE
    beat = run.beat_at if run is not None and is_active else None
    metrics = Metrics(database)
    latest = metrics.latest(run_id)
    # The highest, as each attempt begins anew.
    most = metrics.highest(run_id, list(MOST.values()))
    return {
        "beat_age_s": None if beat is None else max(0.0, (now() - beat).total_seconds()),
        "step_s": _pace(database, run_id),
        "use": {key: latest.get(key) if is_active else None for key in KEYS} | most,
    }


def _pace(database: Database, run_id: str) -> float | None:
    latest = sorted(Metrics(database).newest(run_id, "step_s", _STEPS))
    return latest[len(latest) // 2] if latest else None
