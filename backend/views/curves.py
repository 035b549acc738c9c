"""Curves of metrics as lists that JSON can hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from storage.database import Database
from storage.metrics import Metrics

_LINE: Final = 60


def metric_curves(
    database: Database, run: str, keys: Sequence[str] = ()
) -> dict[str, list[list[float | None]]]:
    """(step, value) points by key; a value that is no number is None."""
    metrics = Metrics(database)
    return {
        key: [[float(step), _finite(value)] for step, value in metrics.series(run, key)]
        for key in (keys or metrics.keys(run))
    }


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
