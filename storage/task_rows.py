"""Rows of task versions: one after the other, at chosen places, and how large they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import LargeBinary, String, cast, func, select

from storage.database import Database
from storage.models import TaskRow
from storage.tasks import Part

_BATCH: Final = 1_000


class PlacedRow(NamedTuple):
    """A row's demonstration document, and where it stands."""

    position: int
    part: Part
    content: dict[str, Any]


def rows_in_order(
    database: Database, version_id: str, part: Part | None = None
) -> Iterator[PlacedRow]:
    """A version's rows, or those of one part; never more than some of them in memory."""
    after = -1
    # Past the mapper, which would take as long again.
    columns = select(TaskRow.position, TaskRow.part, TaskRow.content)
    while True:
        statement = columns.where(TaskRow.version_id == version_id, TaskRow.position > after)
        if part is not None:
            statement = statement.where(TaskRow.part == part)
        with database.read() as session:
            found = session.execute(statement.order_by(TaskRow.position).limit(_BATCH))
            rows = [PlacedRow(*row) for row in found]
        yield from rows
        if len(rows) < _BATCH:
            return
        after = rows[-1].position


def rows_at(database: Database, version_id: str, positions: Sequence[int]) -> list[TaskRow]:
    """The rows at these positions, which count from 0 over both parts, in the order given."""
    found: dict[int, TaskRow] = {}
    for first in range(0, len(positions), _BATCH):
        some = positions[first : first + _BATCH]
        statement = select(TaskRow).where(
            TaskRow.version_id == version_id, TaskRow.position.in_(some)
        )
        with database.read() as session:
            found |= {row.position: row for row in session.scalars(statement)}
    return [found[position] for position in positions if position in found]


def stored_bytes(database: Database, version_ids: Sequence[str]) -> dict[str, int]:
    """How many bytes the rows of each version take as they are stored."""
    if database.engine.dialect.name == "sqlite":
        size = func.length(cast(TaskRow.content, LargeBinary))
    else:
        size = func.octet_length(cast(TaskRow.content, String))
    statement = select(TaskRow.version_id, func.sum(size)).group_by(TaskRow.version_id)
    with database.read() as session:
        found = session.execute(statement.where(TaskRow.version_id.in_(version_ids)))
        return {version_id: int(total) for version_id, total in found}
