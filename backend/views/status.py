"""What the lab is doing right now."""

from __future__ import annotations

from backend.jobs.documents import Document
from storage.claims import Claims
from storage.database import Database
from storage.runs import Runs
from storage.supervisors import Supervisors


def lab_status(database: Database) -> Document:
    """Slots with the job each one does, jobs that wait, and the supervisor's address."""
    runs = Runs(database)
    holder = Supervisors(database).holder()
    slots = []
    for slot in Claims(database).slots():
        run = runs.get(slot.run_id) if slot.run_id else None
        slots.append(
            {"id": slot.id, "run": run.id if run else None, "name": run.name if run else ""}
        )
    return {
        "slots": slots,
        "queued": runs.count("queued"),
        "supervisor": holder.address if holder else None,
    }
