"""A figure of several measurements."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def median_and_spread(values: Sequence[float]) -> tuple[float, list[float]]:
    """The median, and the lowest and the highest."""
    return statistics.median(values), [min(values), max(values)]
