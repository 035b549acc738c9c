"""Runs as the user sees them: made, listed, stopped and resumed; their history."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from storage.chains import cancel_followers, revive_followers
from storage.columns import by_run
from storage.database import Database, serialize
from storage.history import add_event
from storage.models import ACTIVE, Event, Run, new_id, now


class Runs:
    """The runs of a lab."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def enqueue(self, *runs: Run) -> list[Run]:
        """Puts runs at the end of the queue, in this order, all or none."""
        with self._database.write() as session:
            serialize(session, "runs")
            put_runs(session, runs)
        return list(runs)

    def get(self, run_id: str) -> Run | None:
        with self._database.read() as session:
            return session.get(Run, run_id)

    def find(self, text: str) -> list[Run]:
        """The run with the id ``text``; otherwise those whose id begins so or that are named so."""
        with self._database.read() as session:
            exact = session.get(Run, text)
            if exact is not None or not text:
                return [exact] if exact else []
            like = select(Run).where(Run.id.startswith(text, autoescape=True) | (Run.name == text))
            return list(session.scalars(like.order_by(Run.seq)))

    def all(
        self,
        *,
        states: Sequence[str] | None = None,
        group_id: str | None = None,
        limit: int | None = None,
    ) -> list[Run]:
        """The runs, newest first."""
        statement = select(Run).order_by(Run.seq.desc()).limit(limit)
        if states is not None:
            statement = statement.where(Run.state.in_(states))
        if group_id is not None:
            statement = statement.where(Run.group_id == group_id)
        with self._database.read() as session:
            return list(session.scalars(statement))

    def count(self) -> int:
        """How many runs there are."""
        with self._database.read() as session:
            return session.scalar(select(func.count()).select_from(Run)) or 0

    def of_versions(self, version_ids: Sequence[str]) -> list[Run]:
        """The jobs that have worked or will work on these task versions, newest first."""
        statement = select(Run).where(Run.task_version_id.in_(version_ids))
        with self._database.read() as session:
            return list(session.scalars(statement.order_by(Run.seq.desc())))

    def events(self, run_id: str, after: int = 0) -> list[Event]:
        """A run's history in order, from the first event after id ``after``."""
        statement = select(Event).where(Event.run_id == run_id, Event.id > after)
        with self._database.read() as session:
            return list(session.scalars(statement.order_by(Event.id)))

    def events_of_runs(self, run_ids: Sequence[str]) -> dict[str, list[Event]]:
        """The histories of these runs, in one query."""
        statement = select(Event).where(Event.run_id.in_(run_ids)).order_by(Event.id)
        with self._database.read() as session:
            return by_run(run_ids, session.scalars(statement))

    def queued(self) -> list[Run]:
        """The queued runs, in the order in which they are claimed."""
        with self._database.read() as session:
            return list(session.scalars(_in_order()))

    def place(self, run_id: str, before: str | None) -> bool:
        """Puts a queued run before another one, or at the end; False unless both are queued.

        It takes the priority of the one that it is put before or after.
        """
        with self._database.write() as session:
            serialize(session, "runs")
            order = list(session.scalars(_in_order().with_for_update()))
            places = {run.id: place for place, run in enumerate(order)}
            if run_id not in places or (before is not None and before not in places):
                return False
            if run_id == before or len(order) == 1:
                return True
            run = order.pop(places[run_id])
            at = next((i for i, each in enumerate(order) if each.id == before), len(order))
            run.priority = order[min(at, len(order) - 1)].priority
            order.insert(at, run)
            _number_anew(session, [each for each in order if each.priority == run.priority])
            add_event(session, run, "moved", f"moved to place {at + 1} of the queue")
            return True

    def set_priority(self, run_id: str, priority: int) -> bool:
        """Gives a queued run a priority; False if it is not queued."""
        with self._database.write() as session:
            run = lock_run(session, run_id)
            if run is None or run.state != "queued":
                return False
            run.priority = priority
            add_event(session, run, "priority", f"priority {priority}")
            return True

    def request_stop(self, run_id: str) -> str | None:
        """Cancels a queued run at once, asks an active one to stop, leaves others alone.

        Returns the state that it was found in; None if there is no such run.
        """
        with self._database.write() as session:
            run = lock_run(session, run_id)
            if run is None:
                return None
            found = run.state
            if found == "queued":
                run.state, run.ended_at, run.stop_requested = "cancelled", now(), True
                add_event(session, run, "cancelled", "cancelled before it began")
                cancel_followers(session, run)
            elif found in ACTIVE and not run.stop_requested:
                run.stop_requested = True
                add_event(session, run, "stop", "asked to stop")
            return found

    def requeue(self, run_id: str, more_attempts: int) -> str | None:
        """Queues a cancelled, failed or lost run again, with so many attempts more.

        Returns the state that it was found in; None if there is no such run.
        """
        with self._database.write() as session:
            run = lock_run(session, run_id)
            if run is None:
                return None
            found = run.state
            if found in ("cancelled", "failed", "lost"):
                run.state, run.stop_requested = "queued", False
                run.error, run.ended_at, run.eta_s = None, None, None
                run.max_attempts = run.attempt + more_attempts
                add_event(session, run, "resumed", f"queued again after it was {found}")
                revive_followers(session, run)
            return found


def _in_order() -> Select[Run]:
    return select(Run).where(Run.state == "queued").order_by(Run.priority.desc(), Run.seq)


def _number_anew(session: Session, runs: Sequence[Run]) -> None:
    """Hands the numbers that these runs have to them in this order; no two ever have the same."""
    numbers = sorted(run.seq for run in runs)
    for run in runs:
        run.seq = -run.seq
    session.flush()
    for run, seq in zip(runs, numbers, strict=True):
        run.seq = seq


def put_runs(session: Session, runs: Sequence[Run]) -> None:
    """Queues runs; the caller holds the lock named "runs"."""
    last = session.scalar(select(func.max(Run.seq))) or 0
    for seq, run in enumerate(runs, start=last + 1):
        run.id = run.id or new_id()
        run.seq = seq
        run.state = "queued"
        session.add(run)
        session.flush()
        add_event(session, run, "queued", "queued")


def lock_run(session: Session, run_id: str) -> Run | None:
    """The run's row, which nobody else changes until the transaction ends."""
    return session.get(Run, run_id, with_for_update=True)
