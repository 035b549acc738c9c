"""Who supervises the lab, and whether that process still lives."""

from __future__ import annotations

import os
from datetime import timedelta

from backend.jobs.identity import is_alive, is_here
from storage.claims import Process
from storage.database import Database
from storage.models import SupervisorLock, now
from storage.supervisors import Supervisors


def lives(holder: SupervisorLock, lease_s: float) -> bool:
    """Whether the holder of the lock is alive: looked up here, judged by its beats elsewhere.

    And by its beats in this process, too: a supervisor that could not give the lock back, as the
    database was locked, is gone, and its process would wait for itself for ever.
    """
    process = Process(holder.pid, holder.pid_created, holder.boot_id, holder.host)
    if is_here(process) and process.pid != os.getpid():
        return is_alive(process)
    return now() - holder.beat_at < timedelta(seconds=lease_s)


def server_address(database: Database, lease_s: float) -> str | None:
    """The URL of the living server that supervises this lab; None where none does."""
    holder = Supervisors(database).holder()
    if holder is None or not holder.address.startswith("http") or not lives(holder, lease_s):
        return None
    return holder.address
