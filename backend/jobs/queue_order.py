"""The order of what waits, and whether anything is started at all."""

from __future__ import annotations

from typing import Any, Final

from backend.atomic import write_text
from backend.config import Settings
from backend.errors import StateError
from backend.jobs.queue import find_run
from storage.claims import Claims
from storage.database import Database
from storage.models import ACTIVE, Run
from storage.runs import Runs

# A file under SDLAB_HOME: as long as it is there, no queued run is started.
PAUSED: Final = "queue.paused"


class QueueOrder:
    """The lab's verbs on its queue; each returns the queue as it is then.

    Runs are named as everywhere. Those that move a run raise NotFound, and StateError unless it is
    queued.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    def document(self) -> dict[str, Any]:
        """Whether the queue is paused, what works in each slot, and what waits, in order."""
        runs = Runs(self._database)
        working = {run.id: run for run in runs.all(states=ACTIVE)}
        slots = [(s.id, working.get(s.run_id or "")) for s in Claims(self._database).slots()]
        return {
            "paused": is_paused(self._settings),
            "slots": [{"id": name, "run": run and _entry(run)} for name, run in slots],
            "queued": [_entry(run) for run in runs.queued()],
        }

    def move(self, run: str, before: str | None = None) -> dict[str, Any]:
        """Puts a queued run before another one, or at the end."""
        moved = find_run(self._database, run)
        other = None if before is None else find_run(self._database, before)
        if not Runs(self._database).place(moved.id, None if other is None else other.id):
            raise _not_queued(moved, *([] if other is None else [other]))
        return self.document()

    def move_first(self, run: str) -> dict[str, Any]:
        """Puts a queued run before all others."""
        waiting = Runs(self._database).queued()
        return self.move(run, waiting[0].id if waiting else None)

    def set_priority(self, run: str, priority: int) -> dict[str, Any]:
        """Gives a queued run a priority; those with a higher one go first."""
        found = find_run(self._database, run)
        if not Runs(self._database).set_priority(found.id, priority):
            raise _not_queued(found)
        return self.document()

    def pause(self) -> dict[str, Any]:
        """From now on no queued run is started; those under way go on."""
        told = "No queued run is started. Go on with: sdlab queue resume\n"
        write_text(self._settings.home / PAUSED, told)
        return self.document()

    def resume(self) -> dict[str, Any]:
        """Queued runs are started again."""
        (self._settings.home / PAUSED).unlink(missing_ok=True)
        return self.document()


def is_paused(settings: Settings) -> bool:
    """Whether queued runs are held back."""
    return (settings.home / PAUSED).exists()


def _entry(run: Run) -> dict[str, Any]:
    return {"id": run.id, "name": run.name, "kind": run.kind, "priority": run.priority}


def _not_queued(*runs: Run) -> StateError:
    run = next((each for each in runs if each.state != "queued"), runs[0])
    return StateError(
        f"the run is {run.state}: only a queued one has a place in the queue",
        where=f"run {run.id}",
        remedy="see what is queued with: sdlab queue",
    )
