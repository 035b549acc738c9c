"""The search for near-duplicates on a version, as its page shows it."""

from __future__ import annotations

from backend.jobs.documents import Document
from backend.views.task_rows import find_version
from storage.database import Database
from storage.models import FINAL
from storage.runs import Runs


def newest_leaks(database: Database, name: str, number: str = "") -> Document | None:
    """The newest search on a version, how far it is, and what it found. Raises NotFound."""
    version = find_version(database, name, number).version
    jobs = [run for run in Runs(database).of_versions([version.id]) if run.kind == "leaks"]
    if not jobs:
        return None
    run = jobs[0]
    return {
        "id": run.id,
        "state": run.state,
        "is_open": run.state not in FINAL,
        "step": run.step,
        "total": run.total_steps,
        "error": (run.error or {}).get("message", ""),
        "found": (run.result or {}).get("leaks"),
    }
