"""Column types and statements that SQLite and Postgres need spelled alike."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy import DateTime, Dialect, Insert, TypeDecorator
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session


class OfRun(Protocol):
    """A row that belongs to a run."""

    @property
    def run_id(self) -> Any: ...


Row = TypeVar("Row", bound=OfRun)


def by_run(run_ids: Iterable[str], rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each run, in their order; runs without any are there, too."""
    grouped: dict[str, list[Row]] = {run_id: [] for run_id in run_ids}
    for row in rows:
        grouped[row.run_id].append(row)
    return grouped


class UtcDateTime(TypeDecorator[datetime]):
    """A time with its zone, always UTC: SQLite would drop the zone silently."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value} has no time zone; pass an aware datetime")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def upsert(
    session: Session,
    table: Any,
    key: Sequence[str],
    *,
    only_if_newer: str | None = None,
) -> Insert:
    """An INSERT into ``table`` that overwrites the row with the same ``key``.

    With ``only_if_newer`` the row stays if its value of that column is larger.
    """
    dialect: Any = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    insert = dialect.insert(table)
    names = [column.name for column in table.__table__.columns if column.name not in key]
    changes: Mapping[str, Any] = {name: insert.excluded[name] for name in names}
    condition = None
    if only_if_newer is not None:
        current = table.__table__.columns[only_if_newer]
        condition = insert.excluded[only_if_newer] >= current
    statement: Insert = insert.on_conflict_do_update(
        index_elements=list(key), set_=changes, where=condition
    )
    return statement


class JsonText(str):
    """A document that is JSON already, and is stored as it stands."""


def as_json(value: Any) -> str:
    """A document as the text that a column of JSON holds."""
    return value if isinstance(value, JsonText) else json.dumps(value)
