"""Tasks, their versions by content, and their rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, Literal

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from storage.columns import JsonText
from storage.database import Database, serialize
from storage.models import Artifact, Task, TaskRow, TaskVersion, new_id
from storage.staging import ROWS_TABLE, STAGING, drop, drop_stale, stage

Part = Literal["training", "held_out"]
_BATCH_ROWS: Final = 2_000
_BATCH_CHARACTERS: Final = 8 << 20


@dataclass(frozen=True)
class NewVersion:
    """What a task version is made of; ``rows`` gives (part, demonstration) in order.

    A demonstration is a document, or its JSON. They are taken once, while they are stored:
    there may be more than fit into memory.
    """

    content_hash: str
    scorer: str
    mapping: Mapping[str, Any]
    report: Mapping[str, Any]
    split: Mapping[str, Any]
    rows: Iterable[tuple[Part, Mapping[str, Any] | JsonText]]
    upload: Artifact | None = None
    held_out_upload: Artifact | None = None
    origin: Mapping[str, Any] | None = None


class Tasks:
    """The tasks of a lab."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_version(self, name: str, new: NewVersion) -> tuple[TaskVersion, bool]:
        """The version of task ``name`` with this content, and whether it was added now.

        The task, the version, its rows and the upload come to be together or not at all.
        """
        drop_stale(self._database)
        batches = _batches(new.rows)
        first, second = next(batches, []), next(batches, None)
        if second is None:
            with self._database.write() as session:
                return _add_version(session, name, new, first)
        known = self._known(name, new.content_hash)
        if known is not None:
            return known, False
        staged, counts = stage(self._database, new.scorer, chain([first, second], batches))
        is_new = False
        try:
            with self._database.write() as session:
                version, is_new = _add_version(session, name, new, (), staged, counts)
        finally:
            if not is_new:
                drop(self._database, staged)
        return version, is_new

    def _known(self, name: str, content_hash: str) -> TaskVersion | None:
        statement = select(TaskVersion).join(Task).where(Task.name == name)
        with self._database.read() as session:
            return session.scalar(statement.where(TaskVersion.content_hash == content_hash))

    def all(self) -> list[Task]:
        """Every task, by name."""
        with self._database.read() as session:
            tasks = select(Task).where(Task.name != STAGING).order_by(Task.name)
            return list(session.scalars(tasks))

    def by_name(self, name: str) -> Task | None:
        with self._database.read() as session:
            return session.scalar(select(Task).where(Task.name == name, Task.name != STAGING))

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


def _add_version(
    session: Session,
    name: str,
    new: NewVersion,
    rows: Sequence[dict[str, Any]],
    staged: str | None = None,
    counts: Mapping[str, int] | None = None,
) -> tuple[TaskVersion, bool]:
    """The task's version with these rows, or that whose rows are staged already."""
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
    uploads = [upload for upload in (new.upload, new.held_out_upload) if upload is not None]
    session.add_all(uploads)
    session.flush()
    version = session.get(TaskVersion, staged) if staged else None
    if version is None:
        version = TaskVersion(id=new_id())
        counts = Counter(row["part"] for row in rows)
    _describe(version, task, new, _next_number(session, task), counts or {})
    session.add(version)
    session.flush()
    if rows:
        documents = [
            {**row, "version_id": version.id, "position": position}
            for position, row in enumerate(rows)
        ]
        session.execute(insert(ROWS_TABLE), documents)
    return version, True


def _describe(
    version: TaskVersion, task: Task, new: NewVersion, number: int, counts: Mapping[str, int]
) -> None:
    version.task_id = task.id
    version.number = number
    version.content_hash = new.content_hash
    version.scorer = new.scorer
    version.mapping = dict(new.mapping)
    version.report = dict(new.report)
    version.split = dict(new.split)
    version.origin = dict(new.origin) if new.origin is not None else None
    version.upload_artifact_id = new.upload.id if new.upload else None
    version.training = counts.get("training", 0)
    version.held_out = counts.get("held_out", 0)


def _next_number(session: Session, task: Task) -> int:
    numbers = select(func.max(TaskVersion.number)).where(TaskVersion.task_id == task.id)
    return (session.scalar(numbers) or 0) + 1


def _batches(
    rows: Iterable[tuple[Part, Mapping[str, Any] | JsonText]],
) -> Iterator[list[dict[str, Any]]]:
    """Rows in lists that are neither long nor large."""
    batch: list[dict[str, Any]] = []
    length = 0
    for part, content in rows:
        batch.append({"part": part, "content": content})
        length += _length(content)
        if len(batch) >= _BATCH_ROWS or length >= _BATCH_CHARACTERS:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch


def _length(value: Any) -> int:
    """About how many characters a document has."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(_length(inner) for inner in value.values())
    return sum(_length(inner) for inner in value) if isinstance(value, list | tuple) else 8
