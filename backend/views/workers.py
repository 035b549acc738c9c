"""How a run's worker is doing: its last sign of life, its memory, its pace."""

from __future__ import annotations

from typing import Final

import psutil

from backend.jobs.documents import Document
from backend.jobs.identity import is_alive
from storage.claims import Process
from storage.database import Database
from storage.metrics import Metrics
from storage.models import ACTIVE, Run, now
from storage.runs import Runs

# Median of the latest steps: evaluation and checkpoints make single ones long.
_STEPS: Final = 10


def worker_document(database: Database, run_id: str) -> Document:
    """Seconds since its last beat, bytes of memory, seconds a step; None where unknown."""
    run = Runs(database).get(run_id)
    is_active = run is not None and run.state in ACTIVE
    beat = run.beat_at if run is not None and is_active else None
    return {
        "beat_age_s": None if beat is None else max(0.0, (now() - beat).total_seconds()),
        "memory_bytes": _memory(run) if run is not None and is_active else None,
        "step_s": _pace(database, run_id),
    }


def _memory(run: Run) -> int | None:
    if run.pid is None or run.pid_created is None or run.boot_id is None or run.host is None:
        return None
    if not is_alive(Process(run.pid, run.pid_created, run.boot_id, run.host)):
        return None
    try:
        return int(psutil.Process(run.pid).memory_info().rss)
    except psutil.Error:
        return None


def _pace(database: Database, run_id: str) -> float | None:
    latest = sorted(value for _, value in Metrics(database).series(run_id, "step_s")[-_STEPS:])
    return latest[len(latest) // 2] if latest else None
