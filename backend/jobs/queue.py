"""The queue's verbs: put a run in, find it, stop it, resume it."""

from __future__ import annotations

from backend.errors import ConfigError, NotFound, StateError
from backend.jobs.archives import check_not_archived
from backend.settings import Settings
from storage.database import Database
from storage.models import ACTIVE, FINAL, Run
from storage.runs import Runs


def enqueue(database: Database, settings: Settings, *runs: Run) -> list[Run]:
    """The runs, queued in this order, all or none, with the lab's number of attempts."""
    for run in runs:
        run.max_attempts = settings.max_attempts
    return Runs(database).enqueue(*runs)


def stop(database: Database, run_id: str) -> Run:
    """The run after the wish to stop it: a queued one is cancelled, an active one will be.

    Raises NotFound, and StateError for a run that has ended.
    """
    found = Runs(database).request_stop(run_id)
    if found not in ("queued", *ACTIVE, None):
        raise StateError(
            f"the run has ended already: it is {found}",
            where=f"run {run_id}",
            remedy=f"nothing to stop; see what it made with: sdlab show {run_id}",
        )
    return _get(database, run_id)


def resume(database: Database, settings: Settings, run_id: str) -> Run:
    """The run, queued again; it goes on from its last checkpoint.

    What was cancelled because of it is queued again, too. Raises NotFound, and StateError unless
    it is cancelled, failed or lost, and where the run that it goes on from must be resumed first.
    """
    _check_earlier(database, run_id)
    check_not_archived(database, run_id)
    found = Runs(database).requeue(run_id, settings.max_attempts)
    if found == "done":
        raise StateError(
            "the run is done: there is nothing left to resume",
            where=f"run {run_id}",
            remedy="train on from its adapter with: sdlab train ... --start-from " + run_id,
        )
    if found in ("queued", *ACTIVE):
        raise StateError(
            f"the run is {found}: only a cancelled, failed or lost run can be resumed",
            where=f"run {run_id}",
            remedy=f"wait for it, or stop it first with: sdlab stop {run_id}",
        )
    return _get(database, run_id)


def _check_earlier(database: Database, run_id: str) -> None:
    runs = Runs(database)
    run = runs.get(run_id)
    while run is not None and run.after_run_id is not None:
        run = runs.get(run.after_run_id)
        if run is not None and run.state in FINAL and run.state != "done":
            raise StateError(
                f"it goes on from {run.name} ({run.id[:8]}), which is {run.state}",
                where=f"run {run_id}",
                remedy=f"resume that one first, and this one follows: sdlab resume {run.id[:8]}",
            )


def find_run(database: Database, name: str) -> Run:
    """The run by its id, the beginning of one, or a name that only it has.

    Raises NotFound, and ConfigError where several are meant.
    """
    found = Runs(database).find(name)
    if not found:
        raise NotFound(
            f'there is no run "{name}"', where="run", remedy="list them with: sdlab runs"
        )
    if len(found) > 1:
        ids = ", ".join(run.id[:8] for run in found[:5])
        raise ConfigError(
            f'"{name}" names {len(found)} runs ({ids})',
            where="run",
            remedy="give more of the id",
        )
    return found[0]


def _get(database: Database, run_id: str) -> Run:
    run = Runs(database).get(run_id)
    if run is None:
        raise NotFound(
            "there is no such run", where=f"run {run_id}", remedy="list them with: sdlab runs"
        )
    return run
