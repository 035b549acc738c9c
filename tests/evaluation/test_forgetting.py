"""Continual learning in numbers."""

from __future__ import annotations

import pytest

from backend.evaluation.forgetting import Summary, summarise


def test_the_worked_example() -> None:
    """Checklist 27."""
    R = [[0.9, 0.1, 0.1], [0.6, 0.8, 0.1], [0.5, 0.7, 0.9]]
    found = summarise(R, [0.0, 0.05, 0.05])
    assert found.acc == pytest.approx(0.7)
    assert found.bwt == pytest.approx(-0.25)
    assert found.forgetting == pytest.approx(0.25)
    assert found.fwt == pytest.approx(0.05)


def test_forgetting_is_measured_from_the_best_stage_not_the_own_one() -> None:
    """A later stage may improve an earlier task before another spoils it."""
    R = [[0.5, 0.0, 0.0], [0.9, 0.6, 0.0], [0.4, 0.6, 0.7]]
    found = summarise(R, [0.0, 0.0, 0.0])
    assert found.bwt == pytest.approx((0.4 - 0.5 + 0.0) / 2)
    assert found.forgetting == pytest.approx((0.9 - 0.4 + 0.0) / 2)


def test_one_stage_has_nothing_to_forget() -> None:
    assert summarise([[0.8]], [0.1]) == Summary(0.8, None, None, None)


@pytest.mark.parametrize(
    ("R", "b"), [([], []), ([[0.1]], []), ([[0.1, 0.2], [0.3]], [0.0, 0.0]), ([[0.1, 0.2]], [0.0])]
)
def test_ragged_matrices_are_refused(R: list[list[float]], b: list[float]) -> None:
    with pytest.raises(ValueError, match="R must be square"):
        summarise(R, b)
