"""Long curves are thinned in the database: what stands out in them stays, and so do both ends."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from storage.database import Database
from storage.metrics import put_metrics
from storage.models import Run
from storage.outlines import lines, outlines

Fill = Callable[..., str]


@pytest.fixture
def fill(database: Database, enqueue: Callable[..., Run]) -> Fill:
    """A run with these curves, each a list of (step, value)."""

    def add(**curves: list[tuple[int, float]]) -> str:
        run = enqueue()
        with database.write() as session:
            for key, points in curves.items():
                put_metrics(session, run.id, [(key, *point) for point in points])
        return str(run.id)

    return add


def test_a_short_curve_stays_as_it_is(database: Database, fill: Fill) -> None:
    points = [(step, math.nan if step % 3 else 0.5) for step in range(400)]
    run = fill(loss=points, rate=[(1, 1e-4)])
    found = outlines(database, run, (), 400)
    # NaN equals nothing but its own text.
    assert repr(found) == repr({"loss": points, "rate": [(1, 1e-4)]})
    assert outlines(database, run, ["rate", "nothing"], 400) == {"rate": [(1, 1e-4)], "nothing": []}


def test_a_long_curve_keeps_its_peaks_and_its_last_point(database: Database, fill: Fill) -> None:
    points = [(step, math.sin(step)) for step in range(1, 5_001)]
    points[700] = (701, 90.0)
    points[702] = (703, -90.0)
    points[2_000] = (2_001, math.nan)
    points[2_002] = (2_003, math.inf)
    run = fill(loss=points, same=[(step, 2.0) for step in range(1, 5_001)])
    found = outlines(database, run, (), 400)
    kept = found["loss"]
    assert 380 < len(kept) <= 401
    assert {points[700], points[702]} <= set(kept)
    assert kept[-1] == points[-1]
    assert [step for step, _ in kept] == sorted({step for step, _ in kept})
    assert all(math.isfinite(value) for _, value in kept)
    assert set(kept) <= set(points)
    assert found["same"][0] == (1, 2.0)
    assert found["same"][-1] == (5_000, 2.0)
    assert {value for _, value in found["same"]} == {2.0}


def test_a_curve_with_a_point_every_few_steps_keeps_them_all(
    database: Database, fill: Fill
) -> None:
    points = [(step, float(step % 7)) for step in range(0, 5_001, 50)]
    assert outlines(database, fill(task=points), (), 400) == {"task": points}


def test_what_was_never_a_number_is_still_told(database: Database, fill: Fill) -> None:
    run = fill(loss=[(step, math.nan) for step in range(1, 2_001)])
    (kept,) = outlines(database, run, (), 400).values()
    assert 100 < len(kept) <= 401
    assert all(math.isnan(value) for _, value in kept)


def test_lines_of_runs_have_every_nth_value_and_the_newest(database: Database, fill: Fill) -> None:
    short, long = ([(step, float(step)) for step in range(1, last + 1)] for last in (60, 1_000))
    runs = [fill(loss=short), fill(loss=long), fill(rate=short)]
    found = lines(database, runs, "loss", 60)
    assert found[runs[0]] == [value for _, value in short]
    assert found[runs[1]] == [*(float(step) for step in range(1, 1_001, 17)), 1_000.0]
    assert found[runs[2]] == []
