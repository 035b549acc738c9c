"""Which tokens count: averages, skipped openings, and where a teacher gives up."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from backend.config import TokenWeightsConfig
from backend.training.token_weights import averaging_weights, counted_tokens

# [[1,1,1,1],[5,-,-,-]] and a row of padding alone.
LOSSES = torch.tensor([[1.0, 1.0, 1.0, 1.0], [5.0, 9.0, 9.0, 9.0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 0, 0, 0]]).bool()
each_average = pytest.mark.parametrize("average", ["sequence", "token"])


def loss(average: str, losses_BT: Tensor, counted_BT: Tensor) -> float:
    weights_BT = averaging_weights(TokenWeightsConfig(average=average), counted_BT)
    return float((losses_BT * weights_BT).sum())


@pytest.mark.parametrize(("average", "expected"), [("sequence", 3.0), ("token", 1.8)])
def test_sequence_mean_and_token_mean(average: str, expected: float) -> None:
    """Checklist 13."""
    assert loss(average, LOSSES, MASK) == pytest.approx(expected)


@each_average
def test_rows_that_are_all_masked_give_a_finite_zero(average: str) -> None:
    """Checklist 14."""
    assert loss(average, LOSSES, torch.zeros_like(MASK)) == 0.0


def test_a_row_without_counted_tokens_does_not_dilute_the_others() -> None:
    padded = torch.cat([MASK, torch.zeros(3, 4).bool()])
    losses = torch.cat([LOSSES, torch.full((3, 4), 100.0)])
    assert loss("sequence", losses, padded) == pytest.approx(3.0)
    assert loss("token", losses, padded) == pytest.approx(1.8)


@each_average
def test_weights_are_fp32_and_sum_to_one(average: str) -> None:
    weights = averaging_weights(TokenWeightsConfig(average=average), MASK)
    assert weights.dtype == torch.float32
    assert float(weights.sum()) == pytest.approx(1.0)
    assert float(weights[~MASK].abs().sum()) == 0.0


@pytest.mark.parametrize("skip", range(6))
def test_exactly_the_first_tokens_are_skipped(skip: int) -> None:
    """Checklist 15: also where a completion is shorter than what is skipped."""
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]).bool()
    counted = counted_tokens(TokenWeightsConfig(skip_first=skip), mask, None)
    assert counted.sum(1).tolist() == [max(0, 5 - skip), max(0, 2 - skip)]
    assert not counted[:, :skip].any()
    assert torch.equal(counted[:, skip:], mask[:, skip:])


def test_what_follows_the_first_derailed_token_is_left_out() -> None:
    """The derailed token itself counts: its prefix is still sound."""
    teacher = torch.tensor([[0.9, 0.019, 0.9, 0.9], [0.9, 0.9, 0.021, 0.9]]).log()
    counted = counted_tokens(TokenWeightsConfig(stop_below=0.02), torch.ones(2, 4), teacher)
    assert counted.tolist() == [[True, True, False, False], [True, True, True, True]]


def test_a_derailed_token_among_the_skipped_ones_still_stops_the_row() -> None:
    teacher = torch.tensor([[0.001, 0.9, 0.9]]).log()
    config = TokenWeightsConfig(stop_below=0.02, skip_first=1)
    assert not counted_tokens(config, torch.ones(1, 3), teacher).any()


def test_padding_cannot_derail_a_row() -> None:
    teacher = torch.tensor([[0.9, 0.9, 0.0]]).log()
    mask = torch.tensor([[1, 1, 0]])
    counted = counted_tokens(TokenWeightsConfig(stop_below=0.02), mask, teacher)
    assert counted.tolist() == [[True, True, False]]


def test_nothing_is_left_out_unless_asked_for() -> None:
    teacher = torch.full((2, 4), -50.0)
    assert torch.equal(counted_tokens(TokenWeightsConfig(), MASK, teacher), MASK)
    assert torch.equal(counted_tokens(TokenWeightsConfig(stop_below=0.5), MASK, None), MASK)
