"""Launches queued runs, watches over their workers, and ends those that must end."""

from __future__ import annotations

import logging
import secrets
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Self

import psutil
from sqlalchemy.exc import OperationalError

from backend.errors import Replaced, StateError
from backend.jobs.holders import lives
from backend.jobs.identity import process_of, send, this_process
from backend.jobs.launchers import LOG_NAME, Launcher
from backend.jobs.queue_order import is_paused
from backend.jobs.slots import offers, slot_names
from backend.jobs.watches import (
    SIGKILL,
    Leaving,
    Watch,
    claim_of,
    leave_running,
    process_of_row,
)
from backend.jobs.work.context import run_folder
from backend.settings import Settings
from storage.claims import Claim, Claims
from storage.database import Database, may_hold_up, may_pass
from storage.metrics import Metrics
from storage.models import ACTIVE, Run, SupervisorLock
from storage.runs import Runs
from storage.supervisors import Supervisors

log = logging.getLogger("sdlab.supervisor")

# The step that is on its way, and time for its checkpoint.
_STEPS_OF_GRACE: Final = 3.0

# The owners in this process that are not closed. One that failed may have left its row behind,
# and its process, which is this one, lives on.
_OPEN: Final[set[str]] = set()


class Supervisor:
    """The one supervisor of a lab, from acquire() to close(). Workers outlive it."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        launcher: Launcher,
        clock: Callable[[], float] = time.monotonic,
        *,
        slots: Sequence[str] | None = None,
    ) -> None:
        self._database = database
        self._settings = settings
        self._launch = launcher
        self._clock = clock
        self._slots = slot_names(settings) if slots is None else slots
        self._owner = secrets.token_hex(8)
        self._runs, self._claims = Runs(database), Claims(database)
        self._lock = Supervisors(database)
        self._watches: dict[Claim, Watch] = {}
        self._leaving: list[Leaving] = []
        self._cannot_write = False
        self._left_s = self._now_s = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def acquire(self, address: str) -> None:
        """Becomes the lab's supervisor, found at ``address``. Raises StateError if one lives."""
        known = self._lock.holder()
        # Not within the transaction: a holder that is watched must be able to beat.
        dead = known if known is not None and not self._lives(known) else None
        holder = self._lock.acquire(
            self._owner,
            this_process(),
            address,
            lambda lock: dead is None or (lock.owner, lock.beat_seq) != (dead.owner, dead.beat_seq),
        )
        if holder is not None:
            raise StateError(
                f"the lab already has a supervisor: process {holder.pid} on {holder.host} "
                f"({holder.address or 'no address'})",
                where=f"lab {self._settings.home}",
                remedy="use that one, or stop it first",
            )
        # Before it counts as open: if this fails, the lock that was taken is nobody's.
        self._claims.ensure_slots(self._slots)
        _OPEN.add(self._owner)

    def close(self) -> None:
        """Gives the lock back; workers go on, and the next supervisor adopts them."""
        leave_running([*self._watches.values(), *(leaving.watch for leaving in self._leaving)])
        self._watches.clear()
        self._leaving.clear()
        _OPEN.discard(self._owner)
        self._lock.release(self._owner)

    def tick(self) -> None:
        """Does once all that is due. Raises Replaced if another supervisor has taken over."""
        now_s = self._clock()
        # Who did not look for long (a suspended machine) cannot tell who was silent.
        slept = now_s - self._left_s > self._settings.lease_s / 2
        try:
            self._tick(now_s, forget_silence=slept)
        except OperationalError:
            self._cannot_write = True
            raise
        finally:
            self._left_s = self._clock()

    def run_until(
        self,
        ended: Callable[[], bool],
        *,
        every_s: float = 0.5,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Ticks until ``ended()``, with a pause between.

        A database that is locked, without room or away is waited for; other troubles of it only
        up to the lease.
        """
        well_s, is_told = self._clock(), False
        while not ended():
            try:
                self.tick()
                well_s, is_told = self._clock(), False
            except OperationalError as error:
                if not may_pass(error) and self._clock() - well_s > self._settings.lease_s:
                    raise
                if not is_told:
                    log.warning("the database cannot be written (%s); trying again", error.orig)
                is_told = True
            if not ended():
                sleep(every_s)

    def _tick(self, now_s: float, *, forget_silence: bool) -> None:
        self._now_s = now_s
        holder = self._lock.holder()
        if holder is None or holder.owner != self._owner:
            raise Replaced("this process is not, or no longer, the lab's supervisor")
        grace_s = self._settings.grace_s
        self._leaving = [one for one in self._leaving if not one.is_gone(now_s, grace_s)]
        active = self._runs.all(states=ACTIVE)
        self._remember(active, forget_silence=forget_silence)
        # Before any write: a worker that froze within a transaction holds SQLite's write lock.
        for run in active:
            self._kill_silent(run)
        self._lock.beat(self._owner)
        waited_s = self._clock() - now_s
        if self._cannot_write or waited_s > self._settings.lease_s / 4:
            # Nor could the workers write: their silence meanwhile says nothing.
            self._cannot_write, self._now_s = False, now_s + waited_s
            self._remember(active, forget_silence=True)
        for run in active:
            self._look_after_alone(run)
        self._claims.cancel_queued()
        for slot_kinds, run_kinds in offers(self._slots):
            while not is_paused(self._settings):
                claimed = self._claims.claim(self._owner, slot_kinds, run_kinds)
                if claimed is None:
                    break
                self._start(claimed)

    def _remember(self, active: Sequence[Run], *, forget_silence: bool) -> None:
        claims = {claim_of(run) for run in active}
        for gone in self._watches.keys() - claims:
            self._let_go(gone)
        for run in active:
            found = Watch(-1, self._now_s, is_adopted=True)
            watch = self._watches.setdefault(claim_of(run), found)
            watch.process = process_of_row(run) or watch.process
            if run.beat_seq != watch.beat_seq or forget_silence:
                watch.beats(run.beat_seq, self._now_s)

    def _look_after_alone(self, run: Run) -> None:
        try:
            self._look_after(run)
        except (OperationalError, Replaced):
            raise
        except Exception:
            # One run that cannot be looked after must not keep all others waiting.
            log.exception("run %s cannot be looked after; trying again", run.id)

    def _look_after(self, run: Run) -> None:
        watch = self._watches[claim_of(run)]
        if (how := watch.how_it_ended()) is not None:
            self._settle(run, watch, how)
        elif self._is_silent(watch) and not watch.can_be_killed():
            # Nobody here to kill: should it wake, its writes no longer count.
            self._settle(run, watch, self._silence())
        elif run.stop_requested:
            self._cancel(run, watch)
        elif watch.is_adopted and watch.process is not None:
            watch.is_adopted = False
            message = f"its worker (process {watch.process.pid}) goes on under a new supervisor"
            self._claims.tell(claim_of(run), "adopted", message, "info")
        elif watch.stalls(run, self._now_s, self._settings.stall_s):
            self._claims.tell(
                claim_of(run),
                "stalled",
                f"no new step for {self._settings.stall_s / 60:g} min: {run.phase or run.state} at "
                f"step {run.step}; see its log, or stop it with: sdlab stop {run.id[:8]}",
            )

    def _kill_silent(self, run: Run) -> None:
        watch = self._watches[claim_of(run)]
        process = watch.process
        if process is None:
            return
        has_lock = may_hold_up(self._database, process.pid)
        held_s = watch.holds_up_s(self._now_s, has_lock=has_lock)
        if not self._is_silent(watch):
            return
        if self._cannot_write and held_s <= self._settings.lease_s / 4:
            # Someone else has the database, or had: the worker waits for it as this supervisor
            # does, and may be about to write what it could not.
            return
        if send(process, SIGKILL):
            watch.killed_because = self._silence()

    def _is_silent(self, watch: Watch) -> bool:
        return self._now_s - watch.beat_s > self._settings.lease_s

    def _silence(self) -> str:
        return f"its worker was silent for {self._settings.lease_s:g} s"

    def _cancel(self, run: Run, watch: Watch) -> None:
        process = watch.process
        if watch.told_s is None:
            watch.told_s = self._now_s
            self._claims.cancel(claim_of(run))
            if process is not None:
                send(process, signal.SIGTERM)
            # Longer than a step and a save, however long the run's steps are.
            step_s = Metrics(self._database).latest(run.id).get("step_s", 0.0)
            watch.grace_s = max(self._settings.grace_s, _STEPS_OF_GRACE * step_s)
        elif self._now_s - watch.told_s > watch.grace_s and process is not None:
            watch.killed_because = (
                f"its worker did not stop within {watch.grace_s:g} s and was killed"
            )
            send(process, SIGKILL)

    def _settle(self, run: Run, watch: Watch, how: str) -> None:
        reason = watch.killed_because or how
        error = {
            "code": "lost",
            "message": f"the run was tried {run.attempt} times and never ended; last: {reason}",
            "where": f"run {run.id}, log {run_folder(self._settings, run.id) / LOG_NAME}",
            "remedy": f"read the end of its log, then: sdlab resume {run.id}",
        }
        state = self._claims.end(claim_of(run), reason, error)
        if state is not None:
            log.warning("run %s: %s; now %s", run.id, reason, state)
        self._let_go(claim_of(run))

    def _start(self, run: Run) -> None:
        claim = claim_of(run)
        watch = self._watches[claim] = Watch(run.beat_seq, self._now_s)
        try:
            watch.child = self._launch(run, self._settings)
        except OSError as error:
            self._settle(run, watch, f"its worker could not be started: {error}")
            return
        if watch.child is not None:
            with suppress(psutil.NoSuchProcess):
                watch.process = process_of(watch.child.pid)
        log_path = (run_folder(self._settings, run.id) / LOG_NAME).relative_to(self._settings.home)
        if watch.process is not None:
            self._claims.launched(claim, watch.process, log_path.as_posix())

    def _lives(self, holder: SupervisorLock) -> bool:
        if process_of_row(holder) == this_process():
            return holder.owner in _OPEN
        return lives(self._database, holder, self._settings.lease_s)

    def _let_go(self, claim: Claim) -> None:
        self._leaving.append(Leaving(self._watches.pop(claim), self._now_s))
