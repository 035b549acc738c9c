"""Which process is meant: its number alone would name another one after a while."""

from __future__ import annotations

import os
import platform
import signal
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil

from storage.claims import Process


@cache
def boot_id() -> str:
    """What tells this start of the machine from the last one."""
    file = Path("/proc/sys/kernel/random/boot_id")
    return file.read_text().strip() if file.exists() else f"boot-{psutil.boot_time():.0f}"


def this_process() -> Process:
    """The calling process."""
    return process_of(os.getpid())


def process_of(pid: int) -> Process:
    """The process that has this number now. Raises psutil.NoSuchProcess if none has."""
    return Process(pid, _created(pid), boot_id(), platform.node())


def is_here(process: Process) -> bool:
    """Whether it ran on this machine, where its life can be checked."""
    return process.host == platform.node()


def is_alive(process: Process) -> bool:
    """Whether it runs now, on this machine; a zombie does not."""
    if not is_here(process) or process.boot_id != boot_id():
        return False
    try:
        running = psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE
        return running and abs(_created(process.pid) - process.pid_created) < 0.05
    except psutil.NoSuchProcess:
        return False


def send(process: Process, number: signal.Signals) -> bool:
    """Signals a living process and the group it leads; whether there was one to signal.

    Never this process: the inline launcher works in it.
    """
    if process.pid == os.getpid() or not is_alive(process):
        return False
    with suppress(ProcessLookupError):
        if hasattr(os, "killpg") and os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, number)
        else:
            os.kill(process.pid, number)
        return True
    return False


def end_group(process: Process) -> None:
    """Kills what is left of the group of a process that has ended.

    No new process gets a number that is still some group's: a group without its leader is the old.
    """
    if not hasattr(os, "killpg") or not is_here(process) or process.boot_id != boot_id():
        return
    if not psutil.pid_exists(process.pid):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _created(pid: int) -> float:
    # Linux counts in ticks since the boot; psutil's time of day moves when the clock is set.
    stat = Path(f"/proc/{pid}/stat")
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return psutil.Process(pid).create_time()
    return float(fields[19]) / os.sysconf("SC_CLK_TCK")
