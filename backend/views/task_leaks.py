"""The search for near-duplicates on a version, as its page shows it."""

from __future__ import annotations

from backend.jobs.documents import Document
from backend.views.task_rows import PAGE, find_version
from storage.database import Database
from storage.models import FINAL, Run
from storage.runs import Runs


def newest_leaks(database: Database, name: str, number: str = "") -> Document:
    """The newest ``search`` on a version, how far it is, and what it found. Raises NotFound."""
    stored = find_version(database, name, number)
    jobs = [run for run in Runs(database).of_versions([stored.version.id]) if run.kind == "leaks"]
    return {
        "task": stored.task.name,
        "version": stored.version.number,
        "rows_a_page": PAGE,
        "search": _search(jobs[0]) if jobs else None,
    }


def _search(run: Run) -> Document:
    return {
        "id": run.id,
        "state": run.state,
        "is_open": run.state not in FINAL,
        "step": run.step,
        "total": run.total_steps,
        "error": (run.error or {}).get("message", ""),
        "found": (run.result or {}).get("leaks"),
    }
