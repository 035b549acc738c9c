"""Curves of metrics as lists that JSON can hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from storage.database import Database
from storage.outlines import lines, outlines

_LINE: Final = 60
_CURVE: Final = 400


def metric_curves(
    database: Database, run: str, keys: Sequence[str] = ()
) -> dict[str, list[list[float | None]]]:
    """(step, value) points by key, thinned where there are many; None for what is no number."""
    return {
        key: [[float(step), _finite(value)] for step, value in curve]
        for key, curve in outlines(database, run, keys, _CURVE).items()
    }


def loss_lines(database: Database, runs: Sequence[str]) -> dict[str, list[float | None]]:
    """The loss of each run as a short line: every n-th value and the last."""
    found = lines(database, runs, "loss", _LINE)
    return {run: [_finite(value) for value in found[run]] for run in runs}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
