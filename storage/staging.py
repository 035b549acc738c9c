"""Stores large task versions in many short transactions, unseen until they are whole.

One long transaction would keep every worker from writing for as long as it takes.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

import psutil
from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from storage.database import Database
from storage.models import Task, TaskRow, TaskVersion, new_id, now

# No task of a user's can have the name: theirs begin with a letter or digit.
STAGING: Final = ".staging"
_STALE_AFTER: Final = timedelta(days=1)
_DROPPED_ROWS: Final = 20_000
# Rows go in past the mapper, which would take half the time.
ROWS_TABLE: Final[Any] = TaskRow.__table__

Batch = Sequence[Mapping[str, Any]]


def stage(database: Database, scorer: str, batches: Iterable[Batch]) -> tuple[str, Counter[str]]:
    """The id of a version that no task has yet, with its rows, and how many each part has.

    After an error nothing is left of it.
    """
    with database.write() as session:
        version_id = _new_version(session, scorer)
    counts: Counter[str] = Counter()
    try:
        position = 0
        for batch in batches:
            rows = [
                {**row, "version_id": version_id, "position": place}
                for place, row in enumerate(batch, position)
            ]
            position += len(rows)
            counts.update(row["part"] for row in rows)
            with database.write() as session:
                session.execute(insert(ROWS_TABLE), rows)
    except BaseException:
        drop(database, version_id)
        raise
    return version_id, counts


def drop(database: Database, version_id: str) -> None:
    """Removes a staged version with its rows, some at a time."""
    last = func.max(TaskRow.position)
    while True:
        with database.write() as session:
            highest = session.scalar(select(last).where(TaskRow.version_id == version_id))
            if highest is None:
                session.execute(delete(TaskVersion).where(TaskVersion.id == version_id))
                return
            session.execute(
                delete(TaskRow).where(
                    TaskRow.version_id == version_id, TaskRow.position > highest - _DROPPED_ROWS
                )
            )


def drop_stale(database: Database) -> None:
    """Removes what processes that are gone left staged."""
    with database.read() as session:
        staged = session.scalars(select(TaskVersion).join(Task).where(Task.name == STAGING)).all()
    for version in staged:
        by = version.origin or {}
        is_gone = by.get("host") == socket.gethostname() and not psutil.pid_exists(by.get("pid", 0))
        if is_gone or now() - version.created_at > _STALE_AFTER:
            drop(database, version.id)


def _new_version(session: Session, scorer: str) -> str:
    task = session.scalar(select(Task).where(Task.name == STAGING))
    if task is None:
        task = Task(id=new_id(), name=STAGING)
        session.add(task)
        session.flush()
    version_id = new_id()
    session.add(
        TaskVersion(
            id=version_id,
            task_id=task.id,
            # Unlike any number or content that a version of a task can have.
            number=-1 - secrets.randbelow(1 << 31),
            content_hash=f"{STAGING} {version_id}",
            scorer=scorer,
            mapping={},
            report={},
            split={},
            origin={"host": socket.gethostname(), "pid": os.getpid()},
            training=0,
            held_out=0,
        )
    )
    return version_id
