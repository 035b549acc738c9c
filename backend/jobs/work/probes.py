"""Probes of tasks that are in the database."""

from __future__ import annotations

from backend.config import Settings
from backend.evaluation.probes import TaskProbe
from backend.evaluation.suite import FindTask
from backend.jobs.tasks import StoredTask, demonstrations, find_task
from storage.database import Database


def task_probe(
    database: Database, stored: StoredTask, max_new_tokens: int, settings: Settings
) -> TaskProbe:
    """The probe of the version's held-out rows."""
    return TaskProbe(
        stored.task.name,
        stored.version.content_hash,
        demonstrations(database, stored.version.id, "held_out"),
        stored.version.scorer,
        max_new_tokens,
        settings,
    )


def probe_finder(database: Database, max_new_tokens: int, settings: Settings) -> FindTask:
    """Finds the probe of any task by name; raises NotFound."""
    return lambda name: task_probe(database, find_task(database, name), max_new_tokens, settings)
