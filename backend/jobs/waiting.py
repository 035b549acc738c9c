"""Waits until jobs have ended, and tells of all that they do meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from backend.errors import StateError
from backend.jobs.recorder import PHASE
from storage.database import Database
from storage.models import FINAL, Event, Run
from storage.runs import Runs

# Told of a job under way, with the phases begun since the last time and their steps.
Told = Callable[[Run, Sequence[tuple[str, int]]], object]


def wait_for(
    database: Database,
    ids: Sequence[str],
    told: Told,
    supervise: Callable[[Callable[[], bool]], None],
) -> None:
    """Returns once all jobs have ended; ``supervise`` works until its argument says so.

    Where another process supervises the lab (StateError), it is left to that one.
    """
    runs = Runs(database)
    seen = {run_id: _last_id(runs.events(run_id)) for run_id in ids}

    def ended() -> bool:
        found = [run for run in map(runs.get, ids) if run is not None]
        for run in found:
            events = runs.events(run.id, seen[run.id])
            seen[run.id] = _last_id(events) or seen[run.id]
            phases = [(e.message, e.data["step"]) for e in events if e.kind == PHASE and e.data]
            if phases or run.state not in (*FINAL, "queued"):
                told(run, phases)
        return all(run.state in FINAL for run in found)

    while not ended():
        try:  # again and again: another supervisor may end before these jobs do
            supervise(ended)
        except StateError:
            time.sleep(1.0)


def _last_id(events: Sequence[Event]) -> int:
    return events[-1].id if events else 0
