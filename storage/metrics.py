"""Curves: one narrow row a value, and the latest value of each key."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from storage.columns import upsert
from storage.database import Database
from storage.models import LatestMetric, Metric

Point = tuple[str, int, float]


class Metrics:
    """The curves of all runs. Values that are not numbers come back as NaN."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keys(self, run_id: str) -> list[str]:
        """The names of a run's curves."""
        statement = select(LatestMetric.key).where(LatestMetric.run_id == run_id)
        with self._database.read() as session:
            return list(session.scalars(statement.order_by(LatestMetric.key)))

    def series(self, run_id: str, key: str, after: int = -1) -> list[tuple[int, float]]:
        """(step, value) of one curve in order, from the first step after ``after``."""
        statement = select(Metric.step, Metric.value).where(
            Metric.run_id == run_id, Metric.key == key, Metric.step > after
        )
        with self._database.read() as session:
            found = session.execute(statement.order_by(Metric.step))
            return [(step, _number(value)) for step, value in found]

    def newest(self, run_id: str, key: str, most: int) -> list[float]:
        """The last values of one curve, at most so many, the newest first."""
        statement = select(Metric.value).where(Metric.run_id == run_id, Metric.key == key)
        with self._database.read() as session:
            found = session.scalars(statement.order_by(Metric.step.desc()).limit(most))
            return [_number(value) for value in found]

    def latest(self, run_id: str) -> dict[str, float]:
        """The newest value of each curve."""
        return self.latest_of([run_id])[run_id]

    def latest_of(self, run_ids: Sequence[str]) -> dict[str, dict[str, float]]:
        """The newest value of each curve of these runs, in one query."""
        latest: dict[str, dict[str, float]] = {run_id: {} for run_id in run_ids}
        statement = select(LatestMetric.run_id, LatestMetric.key, LatestMetric.value)
        statement = statement.where(LatestMetric.run_id.in_(run_ids)).order_by(LatestMetric.key)
        with self._database.read() as session:
            for run_id, key, value in session.execute(statement):
                latest[run_id][key] = _number(value)
        return latest

    def highest(self, run_id: str, keys: Sequence[str]) -> dict[str, float | None]:
        """The highest value of each of these curves; None of one without values."""
        statement = select(Metric.key, func.max(Metric.value)).where(
            Metric.run_id == run_id, Metric.key.in_(keys)
        )
        with self._database.read() as session:
            highest: dict[str, float | None] = dict.fromkeys(keys)
            for key, value in session.execute(statement.group_by(Metric.key)):
                highest[key] = value
        return highest


def put_metrics(session: Session, run_id: str, points: Sequence[Point]) -> None:
    """Stores (key, step, value) points; a point of the same key and step is overwritten."""
    if not points:
        return
    rows = [
        {"run_id": run_id, "key": key, "step": step, "value": _storable(value)}
        for key, step, value in sorted(points, key=lambda point: point[1])
    ]
    session.execute(upsert(session, Metric, ("run_id", "key", "step")), rows)
    newest = {row["key"]: row for row in rows}
    latest = upsert(session, LatestMetric, ("run_id", "key"), only_if_newer="step")
    session.execute(latest, list(newest.values()))


def forget_metrics_after(session: Session, run_id: str, step: int) -> None:
    """Deletes a run's values of steps after ``step`` and puts the latest values right."""
    session.execute(delete(Metric).where(Metric.run_id == run_id, Metric.step > step))
    session.execute(delete(LatestMetric).where(LatestMetric.run_id == run_id))
    last = (
        select(Metric.key, func.max(Metric.step).label("step"))
        .where(Metric.run_id == run_id)
        .group_by(Metric.key)
        .subquery()
    )
    remaining = select(Metric.run_id, Metric.key, Metric.step, Metric.value).join(
        last, (Metric.key == last.c.key) & (Metric.step == last.c.step)
    )
    session.execute(
        insert(LatestMetric).from_select(
            ["run_id", "key", "step", "value"], remaining.where(Metric.run_id == run_id)
        )
    )


def _storable(value: float) -> float | None:
    # SQLite turns NaN into NULL without a word; say so on every database alike.
    return None if math.isnan(value) else float(value)


def _number(value: float | None) -> float:
    return math.nan if value is None else value
