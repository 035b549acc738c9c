"""Launches queued runs, watches over their workers, and ends those that must end."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

from sqlalchemy.exc import OperationalError

from backend.config import Settings
from backend.errors import Replaced, StateError
from backend.jobs.holders import lives
from backend.jobs.identity import is_alive, is_here, process_of, send, this_process
from backend.jobs.launchers import LOG_NAME, Launcher
from backend.jobs.work.context import run_folder
from storage.claims import Claim, Claims, Process
from storage.database import Database
from storage.models import ACTIVE, Run, SupervisorLock
from storage.runs import Runs
from storage.supervisors import Supervisors

log = logging.getLogger("sdlab.supervisor")

SLOTS: Final = ("cpu:0",)
# The owners in this process that are not closed. One that failed may have left its row behind,
# and its process, which is this one, lives on.
_OPEN: Final[set[str]] = set()
_SIGKILL: Final = getattr(signal, "SIGKILL", signal.SIGTERM)


@dataclass
class _Watch:
    """What this supervisor remembers of an attempt, in times of its own clock."""

    beat_seq: int
    beat_s: float
    child: subprocess.Popen[bytes] | None = None
    told_s: float | None = None
    killed_because: str = ""


class Supervisor:
    """The one supervisor of a lab, from acquire() to close(). Workers outlive it."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        launcher: Launcher,
        clock: Callable[[], float] = time.monotonic,
        *,
        slots: Sequence[str] = SLOTS,
    ) -> None:
        self._database = database
        self._settings = settings
        self._launch = launcher
        self._clock = clock
        self._slots = slots
        self._owner = secrets.token_hex(8)
        self._runs, self._claims = Runs(database), Claims(database)
        self._lock = Supervisors(database)
        self._watches: dict[Claim, _Watch] = {}
        self._leaving: list[subprocess.Popen[bytes]] = []
        self._left_s = self._now_s = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def acquire(self, address: str) -> None:
        """Becomes the lab's supervisor, found at ``address``. Raises StateError if one lives."""
        holder = self._lock.acquire(self._owner, this_process(), address, self._lives)
        if holder is not None:
            raise StateError(
                f"the lab already has a supervisor: process {holder.pid} on {holder.host} "
                f"({holder.address or 'no address'})",
                where=f"lab {self._settings.home}",
                remedy="use that one, or stop it first",
            )
        _OPEN.add(self._owner)
        self._claims.ensure_slots(self._slots)

    def close(self) -> None:
        """Gives the lock back; workers go on, and the next supervisor adopts them."""
        children = [watch.child for watch in self._watches.values() if watch.child is not None]
        for child in children + self._leaving:
            if child.poll() is None:
                # Left running on purpose; without a code Popen would warn about it.
                child.returncode = 0
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

        A database that cannot be written for a while is waited for, up to the lease.
        """
        well_s = self._clock()
        while not ended():
            try:
                self.tick()
                well_s = self._clock()
            except OperationalError:
                if self._clock() - well_s > self._settings.lease_s:
                    raise
                log.exception("the database cannot be written; trying again")
            if not ended():
                sleep(every_s)

    def _tick(self, now_s: float, *, forget_silence: bool) -> None:
        self._now_s = now_s
        holder = self._lock.holder()
        if holder is None or holder.owner != self._owner:
            raise Replaced("this process is not, or no longer, the lab's supervisor")
        # A child that is not polled once it has ended stays as a zombie.
        self._leaving = [child for child in self._leaving if child.poll() is None]
        active = self._runs.all(states=ACTIVE)
        self._remember(active, forget_silence=forget_silence)
        # Before any write: a worker that froze within a transaction holds SQLite's write lock.
        for run in active:
            self._kill_silent(run)
        self._lock.beat(self._owner)
        for run in active:
            self._look_after(run)
        self._claims.cancel_queued()
        while (claimed := self._claims.claim(self._owner)) is not None:
            self._start(claimed)

    def _remember(self, active: Sequence[Run], *, forget_silence: bool) -> None:
        claims = {_claim_of(run) for run in active}
        for gone in self._watches.keys() - claims:
            self._let_go(gone)
        for run in active:
            watch = self._watches.setdefault(_claim_of(run), _Watch(-1, self._now_s))
            if run.beat_seq != watch.beat_seq or forget_silence:
                watch.beat_seq, watch.beat_s = run.beat_seq, self._now_s

    def _look_after(self, run: Run) -> None:
        watch = self._watches[_claim_of(run)]
        if (how := self._how_it_ended(run, watch)) is not None:
            self._settle(run, watch, how)
        elif self._is_silent(watch) and not _can_be_killed(run):
            # Nobody here to kill: should it wake, its writes no longer count.
            self._settle(run, watch, self._silence())
        elif run.stop_requested:
            self._cancel(run, watch)

    def _kill_silent(self, run: Run) -> None:
        watch, process = self._watches[_claim_of(run)], _process_of(run)
        if self._is_silent(watch) and process is not None and send(process, _SIGKILL):
            watch.killed_because = self._silence()

    def _is_silent(self, watch: _Watch) -> bool:
        return self._now_s - watch.beat_s > self._settings.lease_s

    def _silence(self) -> str:
        return f"its worker was silent for {self._settings.lease_s:g} s"

    def _how_it_ended(self, run: Run, watch: _Watch) -> str | None:
        """How the worker ended, in words; None while it lives or cannot be seen."""
        if watch.child is not None:
            code = watch.child.poll()
            return None if code is None else _ending(code)
        process = _process_of(run)
        if process is None or not is_here(process) or is_alive(process):
            return None
        return "its worker ended without a word"

    def _cancel(self, run: Run, watch: _Watch) -> None:
        process = _process_of(run)
        if watch.told_s is None:
            watch.told_s = self._now_s
            self._claims.cancel(_claim_of(run))
            if process is not None:
                send(process, signal.SIGTERM)
        elif self._now_s - watch.told_s > self._settings.grace_s and process is not None:
            watch.killed_because = (
                f"its worker did not stop within {self._settings.grace_s:g} s and was killed"
            )
            send(process, _SIGKILL)

    def _settle(self, run: Run, watch: _Watch, how: str) -> None:
        reason = watch.killed_because or how
        error = {
            "code": "lost",
            "message": f"the run was tried {run.attempt} times and never ended; last: {reason}",
            "where": f"run {run.id}, log {run_folder(self._settings, run.id) / LOG_NAME}",
            "remedy": f"read the end of its log, then: sdlab resume {run.id}",
        }
        state = self._claims.end(_claim_of(run), reason, error)
        if state is not None:
            log.warning("run %s: %s; now %s", run.id, reason, state)
        self._let_go(_claim_of(run))

    def _start(self, run: Run) -> None:
        claim = _claim_of(run)
        watch = self._watches[claim] = _Watch(run.beat_seq, self._now_s)
        try:
            watch.child = self._launch(run, self._settings)
        except OSError as error:
            self._settle(run, watch, f"its worker could not be started: {error}")
            return
        log_path = (run_folder(self._settings, run.id) / LOG_NAME).relative_to(self._settings.home)
        if watch.child is not None:
            self._claims.launched(claim, process_of(watch.child.pid), log_path.as_posix())

    def _lives(self, holder: SupervisorLock) -> bool:
        if _process_of(holder) == this_process():
            return holder.owner in _OPEN
        return lives(holder, self._settings.lease_s)

    def _let_go(self, claim: Claim) -> None:
        watch = self._watches.pop(claim)
        if watch.child is not None:
            self._leaving.append(watch.child)


def _claim_of(run: Run) -> Claim:
    return Claim(run.id, run.owner or "", run.attempt)


def _process_of(run: Run | SupervisorLock) -> Process | None:
    if run.pid is None or run.pid_created is None or run.boot_id is None or run.host is None:
        return None
    return Process(run.pid, run.pid_created, run.boot_id, run.host)


def _can_be_killed(run: Run) -> bool:
    process = _process_of(run)
    return process is not None and is_here(process) and process.pid != os.getpid()


def _ending(code: int) -> str:
    if code >= 0:
        return f"its worker ended with exit code {code}"
    name = signal.Signals(-code).name
    hint = ", as happens when memory runs out" if name == "SIGKILL" else ""
    return f"its worker was killed by {name}{hint}"
