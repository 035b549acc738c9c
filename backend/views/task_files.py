"""A version's rows as a file to download: JSONL, line by line, found by the version's id."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from backend.data.demonstration import Demonstration
from backend.data.fields import HELD_OUT, TRAINING
from backend.data.writing import to_jsonl
from backend.errors import NotFound
from storage.database import Database
from storage.task_rows import rows_in_order
from storage.tasks import Tasks


@dataclass(frozen=True)
class RowsFile:
    """The name under which a browser should save the rows, and their lines."""

    name: str
    lines: Iterator[str]


def rows_file(database: Database, version_id: str) -> RowsFile:
    """All rows, training rows first, as ``sdlab task export`` writes them. Raises NotFound."""
    tasks = Tasks(database)
    version, task = tasks.version_by_id(version_id), tasks.of_version(version_id)
    if version is None or task is None or version.number < 1:
        raise NotFound("there is no such version", where="task", remedy="see the page of its task")
    return RowsFile(f"{task.name}@{version.number}.jsonl", _lines(database, version_id))


def _lines(database: Database, version_id: str) -> Iterator[str]:
    for row in rows_in_order(database, version_id):
        side = TRAINING if row.part == "training" else HELD_OUT
        yield from to_jsonl([Demonstration.model_validate(row.content)], side)
