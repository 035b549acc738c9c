"""95 % intervals of scores and of paired differences; numpy only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Z95: Final = 1.959963984540054
RESAMPLES: Final = 4000
_SEED: Final = 20261124


@dataclass(frozen=True)
class Interval:
    """A mean over n items and its 95 % interval."""

    score: float
    n: int
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """Mean paired difference (second minus first), its 95 % interval and a two-sided p."""

    difference: float
    low: float
    high: float
    p: float
    n: int


def interval(scores: Sequence[float], *, is_proportion: bool = True) -> Interval:
    """Mean with its interval: Wilson's for scores that are all 0 or 1, else the bootstrap's.

    Values in nats are no proportions, not even if all of them are 0.
    """
    n = len(scores)
    if n == 0:
        raise ValueError("no items were scored")
    mean = math.fsum(scores) / n
    if is_proportion and all(score in (0.0, 1.0) for score in scores):
        return Interval(mean, n, *wilson(sum(scores), n))
    return Interval(mean, n, *_bootstrap(np.asarray(scores, dtype=float)))


def wilson(successes: float, n: int) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927)."""
    share, z2 = successes / n, Z95 * Z95
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def paired(first: Sequence[float], second: Sequence[float]) -> Difference:
    """How much higher ``second`` is on the same items.

    The interval of 0/1 scores is Newcombe's hybrid for pairs (Newcombe 1998, method 10), which does
    not shrink to nothing where no pair differs; other scores take the bootstrap. p is an exact sign
    test over the pairs that differ.
    """
    if len(first) != len(second) or not first:
        raise ValueError(f"cannot pair {len(first)} with {len(second)} items")
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    gains, losses = int((b > a).sum()), int((b < a).sum())
    binary = bool(np.isin(np.concatenate([a, b]), (0.0, 1.0)).all())
    low, high = _newcombe(a, b) if binary else _bootstrap(b - a)
    return Difference(float((b - a).mean()), low, high, _sign_test(gains, losses), len(a))


def _newcombe(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> tuple[float, float]:
    n = len(a)
    pa, pb = float(a.mean()), float(b.mean())
    low_a, high_a = wilson(float(a.sum()), n)
    low_b, high_b = wilson(float(b.sum()), n)
    spread = math.sqrt(pa * (1 - pa) * pb * (1 - pb))
    together = float((a * b).mean()) - pa * pb
    # Method 10's continuity correction: without it the interval is nothing where no pair differs.
    if together > 0:
        together = max(0.0, together - 1 / (2 * n))
    phi = together / spread if spread else 0.0
    down, up_a = pb - low_b, high_a - pa
    up, down_a = high_b - pb, pa - low_a
    low = (pb - pa) - math.sqrt(max(0.0, down**2 - 2 * phi * down * up_a + up_a**2))
    high = (pb - pa) + math.sqrt(max(0.0, up**2 - 2 * phi * up * down_a + down_a**2))
    return max(-1.0, low), min(1.0, high)


def _bootstrap(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    generator = np.random.default_rng(_SEED)
    picks = generator.integers(0, len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(values[picks].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _sign_test(gains: int, losses: int) -> float:
    n = gains + losses
    if n == 0:
        return 1.0
    tail = sum(math.comb(n, k) for k in range(min(gains, losses) + 1)) / 2**n
    return float(min(1.0, 2 * tail))
