"""Who supervises the lab, and whether that process still lives."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final

from backend.jobs.identity import is_alive, is_here
from storage.claims import Process
from storage.database import Database
from storage.models import SupervisorLock, now
from storage.supervisors import Supervisors

# A supervisor beats twice a second.
_WATCHED_S: Final = 3.0
_LOOK_S: Final = 0.25


def lives(database: Database, holder: SupervisorLock, lease_s: float) -> bool:
    """Whether the holder of the lock is alive: looked up here, judged by its beats elsewhere.

    Times of day count only where they agree. Clocks that differ, or were set, are told by looking:
    for some seconds, whether it beats.
    """
    process = Process(holder.pid, holder.pid_created, holder.boot_id, holder.host)
    if is_here(process):
        return is_alive(process)
    if timedelta(0) <= now() - holder.beat_at < timedelta(seconds=lease_s):
        return True
    until_s = time.monotonic() + _WATCHED_S
    while time.monotonic() < until_s:
        time.sleep(_LOOK_S)
        latest = Supervisors(database).holder()
        if latest is None or (latest.owner, latest.beat_seq) != (holder.owner, holder.beat_seq):
            return latest is not None
    return False


def server_address(database: Database, lease_s: float) -> str | None:
    """The URL of the living server that supervises this lab; None where none does."""
    holder = Supervisors(database).holder()
    if holder is None or not holder.address.startswith("http"):
        return None
    return holder.address if lives(database, holder, lease_s) else None
