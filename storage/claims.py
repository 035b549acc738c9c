"""The queue's mechanics: a run is claimed with its slot, held by one attempt, and let go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

from sqlalchemy import CursorResult, Select, delete, func, select, update
from sqlalchemy.orm import Session

from storage.chains import cancel_followers, is_ready
from storage.database import Database
from storage.history import add_event
from storage.metrics import put_metrics
from storage.models import ACTIVE, Run, Slot, now
from storage.runs import lock_run


@dataclass(frozen=True)
class Claim:
    """Who works on a run: writes count only while the row still names this owner and attempt."""

    run_id: str
    owner: str
    attempt: int


@dataclass(frozen=True)
class Process:
    """A process that can be told from a later one with the same number."""

    pid: int
    pid_created: float
    boot_id: str
    host: str


class Claims:
    """Transitions of claimed runs, one transaction each; False or None says: too late."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ensure_slots(self, ids: Sequence[str]) -> None:
        """Makes the slots ``kind:number`` exist, and removes other free ones."""
        with self._database.write() as session:
            session.execute(delete(Slot).where(Slot.id.not_in(ids), Slot.run_id.is_(None)))
            for slot_id in ids:
                if session.get(Slot, slot_id) is None:
                    session.add(Slot(id=slot_id, kind=slot_id.split(":")[0]))

    def slots(self) -> list[Slot]:
        with self._database.read() as session:
            return list(session.scalars(_slots(None)))

    def claim(
        self,
        owner: str,
        kinds: Sequence[str] | None = None,
        run_kinds: Sequence[str] | None = None,
    ) -> Run | None:
        """The first queued run that waits for no other one, now starting in free slots.

        It gets as many as its configuration's ``devices``, all or none; until they are free, no
        later run is given them. The slots are of ``kinds``, the run of ``run_kinds``, if given;
        runs that want more slots than there are wait. None if there is nothing to start.
        """
        with self._database.write() as session:
            # SQLite has no FOR UPDATE and needs none: the transaction began with the write lock.
            slots = session.scalars(_slots(kinds).with_for_update(skip_locked=True)).all()
            free = [slot for slot in slots if slot.run_id is None]
            if not free:
                return None
            queued = _first_queued(run_kinds, most=len(slots))
            run = session.scalar(queued.with_for_update(skip_locked=True))
            wanted = 0 if run is None else int(run.config.get("devices", 1))
            if run is None or wanted > len(free):
                return None
            for slot in free[:wanted]:
                slot.run_id = run.id
            names = ",".join(slot.id for slot in free[:wanted])
            run.state, run.owner, run.slot_id = "starting", owner, names
            run.attempt += 1
            run.beat_seq, run.beat_at = 0, now()
            run.pid = run.pid_created = run.boot_id = run.host = None
            run.started_at = run.started_at or now()
            add_event(session, run, "claimed", f"attempt {run.attempt} in slot {names}")
            return run

    def launched(self, claim: Claim, process: Process, log_path: str) -> bool:
        """Notes the process of a worker that was launched."""
        with self._database.write() as session:
            return _note(session, claim, **asdict(process), log_path=log_path)

    def start(self, claim: Claim, process: Process) -> Run | None:
        """The run, now running in ``process``; cancelling stays cancelling."""
        with self._database.write() as session:
            run = lock_run(session, claim.run_id)
            if run is None or not _is_held(run, claim):
                return None
            if run.state == "starting":
                run.state = "running"
            run.pid, run.pid_created = process.pid, process.pid_created
            run.boot_id, run.host = process.boot_id, process.host
            run.beat_seq, run.beat_at = run.beat_seq + 1, now()
            add_event(session, run, "started", f"worker {process.pid} on {process.host}")
            return run

    def beat(self, claim: Claim, use: Mapping[str, float] | None = None) -> bool:
        """A sign of life, and what the worker takes of its machine, as curves of the run."""
        with self._database.write() as session:
            if not hold(session, claim):
                return False
            if use:
                step = session.scalar(select(Run.step).where(Run.id == claim.run_id)) or 0
                points = [(key, step, value) for key, value in use.items()]
                put_metrics(session, claim.run_id, points)
            return True

    def finish(
        self,
        claim: Claim,
        state: Literal["done", "failed", "cancelled"],
        error: dict[str, Any] | None = None,
    ) -> bool:
        """The worker's last word: the final state, with the slot freed."""
        with self._database.write() as session:
            run = lock_run(session, claim.run_id)
            if run is None or not _is_held(run, claim):
                return False
            message = state if error is None else f"{state}: {error['message']}"
            _end(session, run, state, message, error)
            return True

    def cancel(self, claim: Claim) -> bool:
        """Notes that the worker was told to stop."""
        with self._database.write() as session:
            return _note(session, claim, state="cancelling")

    def end(self, claim: Claim, reason: str, error: dict[str, Any]) -> str | None:
        """The supervisor's word on a worker that ended without its last one; the new state.

        Cancelled if a stop was asked for, queued again while attempts are left, else lost with
        ``error``.
        """
        with self._database.write() as session:
            run = lock_run(session, claim.run_id)
            if run is None or not _is_held(run, claim):
                return None
            if run.stop_requested:
                _end(session, run, "cancelled", f"cancelled: {reason}", None)
            elif run.attempt >= run.max_attempts:
                _end(session, run, "lost", f"lost: {reason}", error)
            else:
                message = f"{reason}; queued again ({run.attempt} of {run.max_attempts} attempts)"
                add_event(session, run, "requeued", message, "warning")
                run.state, run.owner, run.eta_s = "queued", None, None
                _free_slot(session, run)
            return run.state

    def tell(self, claim: Claim, kind: str, message: str, level: str = "warning") -> bool:
        """A line in the run's history, from its supervisor."""
        with self._database.write() as session:
            run = lock_run(session, claim.run_id)
            if run is None or not _is_held(run, claim):
                return False
            add_event(session, run, kind, message, level)
            return True

    def cancel_queued(self) -> None:
        """Cancels queued runs that were asked to stop."""
        statement = select(Run).where(Run.state == "queued", Run.stop_requested)
        with self._database.read() as session:
            if session.scalar(statement.limit(1)) is None:
                return
        with self._database.write() as session:
            for run in session.scalars(statement.with_for_update()):
                _end(session, run, "cancelled", "cancelled before it began", None)


def _slots(kinds: Sequence[str] | None) -> Select[Slot]:
    # By number, not by text, where gpu:10 would come before gpu:2.
    slots = select(Slot).order_by(func.length(Slot.id), Slot.id)
    return slots if kinds is None else slots.where(Slot.kind.in_(kinds))


def _first_queued(kinds: Sequence[str] | None, most: int) -> Select[Run]:
    queued = select(Run).where(Run.state == "queued", Run.stop_requested.is_(False))
    queued = queued.where(func.coalesce(Run.config["devices"].as_integer(), 1) <= most)
    if kinds is not None:
        queued = queued.where(Run.kind.in_(kinds))
    return queued.where(is_ready()).order_by(Run.priority.desc(), Run.seq).limit(1)


def hold(session: Session, claim: Claim, **values: Any) -> bool:
    """Whether the run is still held by ``claim``; raises its beat and sets ``values`` if so.

    The row stays locked until the transaction ends, so that what is written beside it counts.
    """
    return _note(session, claim, beat_seq=Run.beat_seq + 1, beat_at=now(), **values)


def _note(session: Session, claim: Claim, **values: Any) -> bool:
    statement = update(Run).where(
        Run.id == claim.run_id,
        Run.owner == claim.owner,
        Run.attempt == claim.attempt,
        Run.state.in_(ACTIVE),
    )
    statement = statement.values(**values).execution_options(synchronize_session=False)
    result = cast(CursorResult[Any], session.execute(statement))
    return result.rowcount == 1


def _is_held(run: Run, claim: Claim) -> bool:
    return (run.owner, run.attempt) == (claim.owner, claim.attempt) and run.state in ACTIVE


def _end(
    session: Session, run: Run, state: str, message: str, error: dict[str, Any] | None
) -> None:
    level = "error" if error is not None else "info"
    add_event(session, run, state, message, level)
    run.state, run.error, run.ended_at, run.eta_s = state, error, now(), None
    _free_slot(session, run)
    if state != "done":
        cancel_followers(session, run)


def _free_slot(session: Session, run: Run) -> None:
    session.execute(update(Slot).where(Slot.run_id == run.id).values(run_id=None))
    run.slot_id = None
