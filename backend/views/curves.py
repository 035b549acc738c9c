"""Curves of metrics as lists that JSON can hold."""

from __future__ import annotations

import math
from collections.abc import Sequence

from storage.database import Database
from storage.metrics import Metrics


def metric_curves(
    database: Database, run: str, keys: Sequence[str] = ()
) -> dict[str, list[list[float | None]]]:
    """(step, value) points by key; a value that is no number is None."""
    metrics = Metrics(database)
    return {
        key: [
            [float(step), value if math.isfinite(value) else None]
            for step, value in metrics.series(run, key)
        ]
        for key in (keys or metrics.keys(run))
    }
