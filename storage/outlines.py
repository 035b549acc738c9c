"""Long curves as few points that the database picks, so that no page reads a million values."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select

from storage.database import Database
from storage.models import LatestMetric, Metric


def outlines(
    database: Database, run_id: str, keys: Sequence[str], most: int
) -> dict[str, list[tuple[int, float]]]:
    """(step, value) of a run's curves, all of them without ``keys``; no number is NaN.

    Where they are longer than ``most`` steps, the lowest and the highest value of every few steps,
    so that peaks stay, and the newest: at most one more than ``most``.
    """
    latest = select(LatestMetric).where(LatestMetric.run_id == run_id).order_by(LatestMetric.key)
    if keys:
        latest = latest.where(LatestMetric.key.in_(keys))
    found: dict[str, list[tuple[int, float | None]]] = {key: [] for key in keys}
    with database.read() as session:
        newest = {each.key: (each.step, each.value) for each in session.scalars(latest)}
        for key, (last, _) in newest.items():
            mine = (Metric.run_id == run_id) & (Metric.key == key)
            points = select(Metric.step.label("step"), Metric.value).where(mine)
            if last >= most:
                points = _ends(mine, -(-2 * (last + 1) // most))
            found[key] = [(step, value) for step, value in session.execute(points.order_by("step"))]
    for key, point in newest.items():
        if found[key][-1][0] != point[0]:
            found[key].append(point)
    return {
        key: [(step, math.nan if value is None else value) for step, value in curve]
        for key, curve in found.items()
    }


def _ends(mine: ColumnElement[bool], together: int) -> Select[int, float | None]:
    """The lowest and the highest point of every ``together`` steps of one curve."""
    place = (Metric.step // together).label("place")
    number = case((func.abs(Metric.value) <= sys.float_info.max, Metric.value))
    few = (
        select(
            place,
            func.min(number).label("lowest"),
            func.max(number).label("highest"),
            func.min(Metric.step).label("first"),
        )
        .where(mine)
        .group_by(place)
        .subquery()
    )
    begins = few.c.place * together
    is_end = or_(
        Metric.value == few.c.lowest,
        Metric.value == few.c.highest,
        # Where none of them is a number, that is told once.
        and_(few.c.lowest.is_(None), Metric.step == few.c.first),
    )
    # One curve at a time, and by range: so SQLite goes from the few to their points.
    return (
        select(func.min(Metric.step).label("step"), Metric.value)
        .join(few, Metric.step.between(begins, begins + (together - 1)) & is_end)
        .where(mine)
        .group_by(few.c.place, Metric.value)
    )


def lines(
    database: Database, run_ids: Sequence[str], key: str, most: int
) -> dict[str, list[float]]:
    """One curve of each of these runs as a short line: every n-th step's value and the newest."""
    lines: dict[str, list[float]] = {run_id: [] for run_id in run_ids}
    every = (LatestMetric.step - 1) // most + 1
    statement = (
        select(Metric.run_id, Metric.value)
        .join(
            LatestMetric, (LatestMetric.run_id == Metric.run_id) & (LatestMetric.key == Metric.key)
        )
        .where(Metric.run_id.in_(run_ids), Metric.key == key)
        .where(or_((Metric.step - 1) % every == 0, Metric.step == LatestMetric.step))
        .order_by(Metric.run_id, Metric.step)
    )
    with database.read() as session:
        for run_id, value in session.execute(statement):
            lines[run_id].append(math.nan if value is None else value)
    return lines
