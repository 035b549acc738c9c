"""The lock row by which a lab has one supervisor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, cast

from sqlalchemy import CursorResult, delete, update

from storage.claims import Process
from storage.database import Database, serialize
from storage.models import SupervisorLock, now

LAB = "lab"


class Supervisors:
    """The lock of a lab."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def holder(self) -> SupervisorLock | None:
        with self._database.read() as session:
            return session.get(SupervisorLock, LAB)

    def acquire(
        self,
        owner: str,
        process: Process,
        address: str,
        is_alive: Callable[[SupervisorLock], bool],
    ) -> SupervisorLock | None:
        """None once ``owner`` has the lock; otherwise its holder, whom ``is_alive`` vouches for."""
        with self._database.write() as session:
            serialize(session, "supervisors")
            lock = session.get(SupervisorLock, LAB)
            if lock is not None and lock.owner != owner and is_alive(lock):
                return lock
            session.merge(
                SupervisorLock(
                    name=LAB,
                    owner=owner,
                    address=address,
                    beat_seq=0,
                    beat_at=now(),
                    **asdict(process),
                )
            )
            return None

    def beat(self, owner: str) -> bool:
        """A sign of life; False if another one has taken over."""
        statement = update(SupervisorLock).where(SupervisorLock.owner == owner)
        statement = statement.values(beat_seq=SupervisorLock.beat_seq + 1, beat_at=now())
        with self._database.write() as session:
            result = cast(CursorResult[Any], session.execute(statement))
            return result.rowcount == 1

    def release(self, owner: str) -> None:
        with self._database.write() as session:
            session.execute(delete(SupervisorLock).where(SupervisorLock.owner == owner))
