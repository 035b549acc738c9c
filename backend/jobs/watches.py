"""What a supervisor remembers of the attempts that it watches over, and of workers that leave."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from backend.jobs.identity import end_group, is_alive, is_here, send
from storage.claims import Claim, Process
from storage.models import Run, SupervisorLock

# A worker's, where one of the processes that it started for its other devices is gone.
EXIT_RANK: Final = 5
SIGKILL: Final = getattr(signal, "SIGKILL", signal.SIGTERM)


@dataclass
class Watch:
    """One attempt, in times of the supervisor's own clock."""

    beat_seq: int
    beat_s: float
    process: Process | None = None
    child: subprocess.Popen[bytes] | None = None
    told_s: float | None = None
    grace_s: float = 0.0
    killed_because: str = ""
    place: tuple[int, str] = (-1, "")
    moved_s: float = 0.0
    is_stalled: bool = False
    # Found under way by a supervisor that did not start it, and not yet told as such.
    is_adopted: bool = False
    held_since_s: float | None = None

    def beats(self, beat_seq: int, now_s: float) -> None:
        """Notes a sign of life: whoever gives one has let go of the write lock since."""
        self.beat_seq, self.beat_s, self.held_since_s = beat_seq, now_s, None

    def holds_up_s(self, now_s: float, *, has_lock: bool) -> float:
        """How long the worker had the database's write lock at each look, without a beat."""
        if not has_lock:
            self.held_since_s = None
        elif self.held_since_s is None:
            self.held_since_s = now_s
        return 0.0 if self.held_since_s is None else now_s - self.held_since_s

    def stalls(self, run: Run, now_s: float, longest_s: float) -> bool:
        """Whether the run has stayed at its step and phase for too long; true once a place."""
        if (run.step, run.phase) != self.place:
            self.place, self.moved_s, self.is_stalled = (run.step, run.phase), now_s, False
        if self.is_stalled or now_s - self.moved_s <= longest_s:
            return False
        self.is_stalled = True
        return True

    def how_it_ended(self) -> str | None:
        """How the worker ended, in words; None while it lives or cannot be seen."""
        if self.child is not None:
            code = self.child.poll()
            return None if code is None else _ending(code)
        if self.process is None or not is_here(self.process) or is_alive(self.process):
            return None
        return "its worker ended without a word"

    def can_be_killed(self) -> bool:
        """Whether the worker is a process of this machine, other than the supervisor's own."""
        process = self.process
        return process is not None and is_here(process) and process.pid != os.getpid()


@dataclass(frozen=True)
class Leaving:
    """A worker whose run has ended, or is another's now; it must go, and all that it started."""

    watch: Watch
    since_s: float

    def is_gone(self, now_s: float, grace_s: float) -> bool:
        """Whether nothing is left of it; kills it once its grace is over."""
        child, process = self.watch.child, self.watch.process
        # A child that is not polled once it has ended stays as a zombie.
        ended = child.poll() is not None if child is not None else _is_gone(process)
        if process is not None and ended:
            end_group(process)
        elif process is not None and now_s - self.since_s > grace_s:
            send(process, SIGKILL)
        return ended


def claim_of(run: Run) -> Claim:
    return Claim(run.id, run.owner or "", run.attempt)


def process_of_row(row: Run | SupervisorLock) -> Process | None:
    """The process that a row names, if it does."""
    if row.pid is None or row.pid_created is None or row.boot_id is None or row.host is None:
        return None
    return Process(row.pid, row.pid_created, row.boot_id, row.host)


def leave_running(watches: Sequence[Watch]) -> None:
    """Lets go of children that go on after their parent."""
    for child in (watch.child for watch in watches):
        if child is not None and child.poll() is None:
            # Left running on purpose; without a code Popen would warn about it.
            child.returncode = 0


def _is_gone(process: Process | None) -> bool:
    if process is None or process.pid == os.getpid():
        return True
    return not is_here(process) or not is_alive(process)


def _ending(code: int) -> str:
    if code == EXIT_RANK:
        return "one of the processes that train it together ended; its log says more"
    if code >= 0:
        return f"its worker ended with exit code {code}"
    name = signal.Signals(-code).name
    hint = ", as happens when memory runs out" if name == "SIGKILL" else ""
    return f"its worker was killed by {name}{hint}"
