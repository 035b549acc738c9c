"""Tasks, their versions by content, and their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from storage.database import Database, serialize
from storage.models import Artifact, Base, Task, TaskRow, TaskVersion, new_id

Part = Literal["training", "held_out"]
# Told how many rows of a version are written; what it raises undoes them.
Written = Callable[[int], object]
_ROWS_AT_ONCE: Final = 2_000
# Into the table, not as objects: half the time, and the lab's other writers wait for it.
_INSERT_ROWS: Final = insert(Base.metadata.tables[TaskRow.__tablename__])


@dataclass(frozen=True)
class NewVersion:
    """What a task version is made of; ``rows`` holds (part, demonstration document) in order."""

    content_hash: str
    scorer: str
    mapping: Mapping[str, Any]
    report: Mapping[str, Any]
    split: Mapping[str, Any]
    rows: tuple[tuple[Part, Mapping[str, Any]], ...]
    upload: Artifact | None = None
    held_out_upload: Artifact | None = None


class Tasks:
    """The tasks of a lab."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_version(
        self, name: str, new: NewVersion, written: Written = lambda _rows: None
    ) -> tuple[TaskVersion, bool]:
        """The version of task ``name`` with this content, and whether it was added now.

        The task, the version, its rows and the upload come to be together or not at all.
        """
        with self._database.write() as session:
            serialize(session, "tasks")
            task = session.scalar(select(Task).where(Task.name == name))
            if task is None:
                task = Task(id=new_id(), name=name)
                session.add(task)
                session.flush()
            known = session.scalar(
                select(TaskVersion).where(
                    TaskVersion.task_id == task.id, TaskVersion.content_hash == new.content_hash
                )
            )
            if known is not None:
                return known, False
            return _insert_version(session, task, new, written), True

    def all(self) -> list[Task]:
        """Every task, by name."""
        with self._database.read() as session:
            return list(session.scalars(select(Task).order_by(Task.name)))

    def by_name(self, name: str) -> Task | None:
        with self._database.read() as session:
            return session.scalar(select(Task).where(Task.name == name))

    def of_version(self, version_id: str) -> Task | None:
        """The task that a version belongs to."""
        statement = select(Task).join(TaskVersion).where(TaskVersion.id == version_id)
        with self._database.read() as session:
            return session.scalar(statement)

    def names(self, version_ids: Sequence[str]) -> dict[str, str]:
        """The task's name of each of these versions, in one query."""
        statement = select(TaskVersion.id, Task.name).join(Task)
        with self._database.read() as session:
            found = session.execute(statement.where(TaskVersion.id.in_(version_ids)))
            return {row.id: row.name for row in found}

    def versions(self, task_id: str) -> list[TaskVersion]:
        """A task's versions, oldest first."""
        statement = select(TaskVersion).where(TaskVersion.task_id == task_id)
        with self._database.read() as session:
            return list(session.scalars(statement.order_by(TaskVersion.number)))

    def version(self, task_id: str, number: int | None = None) -> TaskVersion | None:
        """A task's version ``number``; the newest one without a number."""
        statement = select(TaskVersion).where(TaskVersion.task_id == task_id)
        if number is not None:
            statement = statement.where(TaskVersion.number == number)
        with self._database.read() as session:
            return session.scalar(statement.order_by(TaskVersion.number.desc()).limit(1))

    def version_by_id(self, version_id: str) -> TaskVersion | None:
        with self._database.read() as session:
            return session.get(TaskVersion, version_id)

    def rows(
        self, version_id: str, part: Part | None = None, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """The demonstration documents of a version, in order; of both parts without ``part``.

        At most the first ``limit`` of them.
        """
        statement = select(TaskRow.content).where(TaskRow.version_id == version_id)
        if part is not None:
            statement = statement.where(TaskRow.part == part)
        with self._database.read() as session:
            return list(session.scalars(statement.order_by(TaskRow.position).limit(limit)))

    def page(
        self, version_id: str, offset: int, limit: int, part: Part | None = None
    ) -> list[TaskRow]:
        """A version's rows in order, or those of one part; at most ``limit`` after ``offset``."""
        statement = select(TaskRow).where(TaskRow.version_id == version_id)
        if part is not None:
            statement = statement.where(TaskRow.part == part)
        statement = statement.order_by(TaskRow.position).offset(offset).limit(limit)
        with self._database.read() as session:
            return list(session.scalars(statement))

    def row(self, version_id: str, position: int) -> TaskRow | None:
        """One row of a version by its position, which counts from 0 over both parts."""
        with self._database.read() as session:
            return session.get(TaskRow, (version_id, position))

    def rows_named(self, version_id: str, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The demonstration documents of a version that have one of these ids, by id."""
        name = TaskRow.content["id"].as_string()
        statement = select(TaskRow.content).where(
            TaskRow.version_id == version_id, name.in_(list(ids))
        )
        with self._database.read() as session:
            return {str(content["id"]): content for content in session.scalars(statement)}


def _insert_version(session: Session, task: Task, new: NewVersion, written: Written) -> TaskVersion:
    uploads = [upload for upload in (new.upload, new.held_out_upload) if upload is not None]
    session.add_all(uploads)
    session.flush()
    newest = session.scalar(
        select(func.max(TaskVersion.number)).where(TaskVersion.task_id == task.id)
    )
    version = TaskVersion(
        id=new_id(),
        task_id=task.id,
        number=(newest or 0) + 1,
        content_hash=new.content_hash,
        scorer=new.scorer,
        mapping=dict(new.mapping),
        report=dict(new.report),
        split=dict(new.split),
        upload_artifact_id=new.upload.id if new.upload else None,
        training=_count(new.rows, "training"),
        held_out=_count(new.rows, "held_out"),
    )
    session.add(version)
    session.flush()
    documents = [
        {"version_id": version.id, "position": position, "part": part, "content": dict(content)}
        for position, (part, content) in enumerate(new.rows)
    ]
    for begin in range(0, len(documents), _ROWS_AT_ONCE):
        written(begin)
        session.execute(_INSERT_ROWS, documents[begin : begin + _ROWS_AT_ONCE])
    return version


def _count(rows: Iterable[tuple[Part, Mapping[str, Any]]], part: Part) -> int:
    return sum(row_part == part for row_part, _ in rows)
