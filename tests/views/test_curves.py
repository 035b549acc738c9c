"""Long curves are thinned: what stands out in them stays, and so do both ends."""

from __future__ import annotations

import math

from backend.views.curves import thinned


def test_a_short_curve_stays_as_it_is() -> None:
    points = [(step, math.nan) for step in range(1, 401)]
    assert thinned(points) == points


def test_a_long_curve_keeps_its_peaks_and_its_last_point() -> None:
    points = [(step, math.sin(step)) for step in range(1, 50_001)]
    points[7_000] = (7_001, 90.0)
    points[7_002] = (7_003, -90.0)
    points[20_000] = (20_001, math.nan)
    kept = thinned(points)
    assert len(kept) <= 401
    assert {points[7_000], points[7_002]} <= set(kept)
    assert kept[-1] == points[-1]
    assert [step for step, _ in kept] == sorted({step for step, _ in kept})


def test_what_was_never_a_number_is_still_told() -> None:
    kept = thinned([(step, math.nan) for step in range(1, 5_001)])
    assert len(kept) > 100
    assert all(math.isnan(value) for _, value in kept)
