"""Intervals against their defining equations and published examples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backend.evaluation.intervals import Z95, interval, paired, wilson


@pytest.mark.parametrize(
    ("successes", "n"), [(0, 10), (1, 3), (5, 10), (9, 10), (10, 10), (63, 68)]
)
def test_wilsons_bounds_are_where_the_score_test_turns(successes: int, n: int) -> None:
    """|share - p| = z * sqrt(p (1 - p) / n) at both ends."""
    for bound in wilson(successes, n):
        error = abs(successes / n - bound)
        assert error == pytest.approx(Z95 * math.sqrt(bound * (1 - bound) / n), abs=1e-7)


def test_wilson_on_known_values() -> None:
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=5e-5)
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=5e-5)
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_scores_of_0_and_1_take_wilsons_interval() -> None:
    measured = interval([1.0, 0.0, 1.0, 1.0])
    assert (measured.score, measured.n) == (0.75, 4)
    assert (measured.low, measured.high) == wilson(3, 4)


def test_other_scores_take_the_bootstraps() -> None:
    scores = list(np.random.default_rng(0).normal(0.4, 0.1, 200))
    measured = interval(scores)
    half = Z95 * float(np.std(scores, ddof=1)) / math.sqrt(200)
    assert measured.low == pytest.approx(measured.score - half, abs=0.003)
    assert measured.high == pytest.approx(measured.score + half, abs=0.003)
    assert interval(scores) == measured


def test_values_that_are_no_proportions_take_the_bootstrap_even_if_all_0_or_1() -> None:
    zeros = interval([0.0] * 10, is_proportion=False)
    assert (zeros.low, zeros.high) == (0.0, 0.0)
    assert interval([0.0] * 10).high > 0.2


def test_no_items_have_no_interval() -> None:
    with pytest.raises(ValueError, match="no items were scored"):
        interval([])


def table(both: int, first: int, second: int, neither: int) -> tuple[list[float], list[float]]:
    """Scores of paired items from a two-by-two table."""
    pairs = [(1.0, 1.0)] * both + [(1.0, 0.0)] * first + [(0.0, 1.0)] * second
    pairs += [(0.0, 0.0)] * neither
    return [a for a, _ in pairs], [b for _, b in pairs]


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        # Altman et al., Statistics with Confidence (2000), table 6.2.
        ((14, 5, 0, 22), 0.0115, 0.2265),
        # Bentur et al. (2009) and Cavo et al. (2012), as in Fagerland et al. (2014).
        ((1, 1, 7, 12), -0.5069, -0.0256),
        ((59, 6, 16, 80), -0.1186, -0.0046),
        # Newcombe (1998): negatively correlated, where nothing is corrected.
        ((36, 12, 2, 0), 0.0569, 0.3404),
    ],
)
def test_paired_proportions_equal_newcombes_method_10(
    counts: tuple[int, int, int, int], low: float, high: float
) -> None:
    """Published as first minus second."""
    first, second = table(*counts)
    difference = paired(second, first)
    assert difference.low == pytest.approx(low, abs=1e-4)
    assert difference.high == pytest.approx(high, abs=1e-4)
    assert difference.difference == pytest.approx((counts[1] - counts[2]) / sum(counts))


@pytest.mark.parametrize("counts", [(14, 5, 0, 22), (1, 1, 7, 12), (3, 0, 9, 0), (0, 0, 8, 0)])
def test_swapping_the_sides_turns_the_sign(counts: tuple[int, int, int, int]) -> None:
    first, second = table(*counts)
    one, other = paired(first, second), paired(second, first)
    assert one.difference == pytest.approx(-other.difference)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert one.p == other.p


def test_pairs_that_never_differ_still_leave_doubt() -> None:
    same = [1.0] * 5 + [0.0] * 5
    difference = paired(same, same)
    assert (difference.difference, difference.p) == (0.0, 1.0)
    assert difference.low < -0.05
    assert difference.high > 0.05


def test_a_clean_sweep_is_sure() -> None:
    difference = paired([0.0] * 16, [1.0] * 16)
    assert difference.difference == 1.0
    assert 0.5 < difference.low < 1.0
    assert difference.high == 1.0
    assert difference.p == pytest.approx(2 / 2**16)


@pytest.mark.parametrize(
    ("gains", "losses", "p"),
    [(0, 0, 1.0), (1, 0, 1.0), (1, 1, 1.0), (6, 0, 0.03125), (8, 1, 0.0390625), (9, 3, 0.1459961)],
)
def test_p_is_an_exact_sign_test(gains: int, losses: int, p: float) -> None:
    first, second = table(3, losses, gains, 2)
    assert paired(first, second).p == pytest.approx(p)


def test_scores_between_take_the_bootstrap_of_the_differences() -> None:
    generator = np.random.default_rng(1)
    first = generator.normal(0.5, 1.0, 300)
    second = first + generator.normal(0.1, 0.05, 300)
    difference = paired(list(first), list(second))
    assert difference.difference == pytest.approx(0.1, abs=0.01)
    assert 0.09 < difference.low < difference.difference < difference.high < 0.11


def test_sides_of_unequal_length_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="cannot pair 2 with 3 items"):
        paired([0.0, 1.0], [0.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="cannot pair 0"):
        paired([], [])
