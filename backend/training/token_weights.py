"""Which completion tokens count, and how much: weights that already carry the average."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from backend.config import TokenWeightsConfig
from backend.training.divergence import importance


def counted_tokens(
    config: TokenWeightsConfig, mask_BT: Tensor, teacher_logprobs_BT: Tensor | None
) -> Tensor:
    """Boolean [B, T]: the completion tokens that enter the loss.

    ``skip_first`` leaves the first n out. ``stop_below`` keeps the first token to which the teacher
    gives less than that probability (its prefix is still sound, and there the teacher has most to
    say) and leaves out all that follow: the teacher says nothing useful on a derailed prefix. With
    ``stop_after`` it takes so many such tokens in a row.
    """
    positions_T = torch.arange(mask_BT.shape[1], device=mask_BT.device)
    counted_BT = mask_BT.bool() & (positions_T >= config.skip_first)
    return counted_BT & ~derailed_tokens(config, mask_BT, teacher_logprobs_BT)


def derailed_tokens(
    config: TokenWeightsConfig, mask_BT: Tensor, teacher_logprobs_BT: Tensor | None
) -> Tensor:
    """Boolean [B, T]: the completion tokens that ``stop_below`` leaves out."""
    if config.stop_below <= 0 or teacher_logprobs_BT is None:
        return torch.zeros_like(mask_BT, dtype=torch.bool)
    low_BT = (teacher_logprobs_BT < math.log(config.stop_below)) & mask_BT.bool()
    in_a_row_BT = low_BT
    for back in range(1, config.stop_after):
        in_a_row_BT = in_a_row_BT & torch.nn.functional.pad(low_BT, (back, 0))[:, : low_BT.shape[1]]
    derails_BT = in_a_row_BT.long()
    return (derails_BT.cumsum(1) - derails_BT > 0) & mask_BT.bool()


def token_factors(
    config: TokenWeightsConfig, logprob_N: Tensor, sampled_logprob_N: Tensor
) -> Tensor:
    """What a token's loss is multiplied by, without gradient: [N], 1 where nothing is asked.

    ``by_probability``: the student's probability of the token (DFT, arXiv 2508.05629).
    ``importance_cap``: its ratio to the sampler's, where that is another policy (else it is NaN).
    """
    factors_N = torch.ones_like(logprob_N)
    if config.by_probability:
        factors_N = factors_N * logprob_N.detach().exp()
    if config.importance_cap is not None:
        ratio_N = importance(logprob_N, sampled_logprob_N, config.importance_cap)
        factors_N = torch.where(sampled_logprob_N.isnan(), factors_N, factors_N * ratio_N)
    return factors_N


def averaging_weights(config: TokenWeightsConfig, counted_BT: Tensor) -> Tensor:
    """Weights [B, T] in fp32 that sum to 1 over the whole batch (or to 0 if nothing counts).

    ``sequence``: mean over a row's tokens, then over the rows that have any. ``token``: mean over
    all tokens. Made for the whole batch before it is split, so that accumulation changes nothing.
    """
    counted = counted_BT.float()
    if config.average == "token":
        return counted / counted.sum().clamp(min=1.0)
    per_row_B1 = counted.sum(1, keepdim=True)
    rows = (per_row_B1 > 0).sum().clamp(min=1)
    return counted / per_row_B1.clamp(min=1.0) / rows
