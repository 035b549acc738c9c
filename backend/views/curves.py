"""Curves of metrics as lists that JSON can hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from storage.database import Database
from storage.metrics import Metrics

_LINE: Final = 60
_CURVE: Final = 400


def metric_curves(
    database: Database, run: str, keys: Sequence[str] = ()
) -> dict[str, list[list[float | None]]]:
    """(step, value) points by key, thinned where there are many; None for what is no number."""
    metrics = Metrics(database)
    return {
        key: [[float(step), _finite(value)] for step, value in thinned(metrics.series(run, key))]
        for key in (keys or metrics.keys(run))
    }


def thinned(points: Sequence[tuple[int, float]], most: int = _CURVE) -> list[tuple[int, float]]:
    """The lowest and the highest of every few points, so that peaks stay, and the last one."""
    if len(points) <= most:
        return list(points)
    together = -(-2 * len(points) // most)
    kept = []
    for place in range(0, len(points), together):
        few = points[place : place + together]
        known = [point for point in few if math.isfinite(point[1])] or few[:1]
        ends = {min(known, key=lambda point: point[1]), max(known, key=lambda point: point[1])}
        kept += sorted(ends)
    return kept if kept[-1][0] == points[-1][0] else [*kept, points[-1]]


def loss_lines(database: Database, runs: Sequence[str]) -> dict[str, list[float | None]]:
    """The loss of each run as a short line: every n-th value and the last."""
    found = Metrics(database).series_of(runs, "loss")
    return {run: _thin([_finite(value) for _, value in found[run]]) for run in runs}


def _thin(values: Sequence[float | None]) -> list[float | None]:
    """Every n-th value and the last, at most a line's and one."""
    every = max(1, -(-len(values) // _LINE))
    thinned = list(values[::every])
    if values and (len(values) - 1) % every:
        thinned.append(values[-1])
    return thinned


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
