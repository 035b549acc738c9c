"""Which completion tokens count, and how much: weights that already carry the average."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from backend.config import TokenWeightsConfig


def counted_tokens(
    config: TokenWeightsConfig, mask_BT: Tensor, teacher_logprobs_BT: Tensor | None
) -> Tensor:
    """Boolean [B, T]: the completion tokens that enter the loss.

    ``skip_first`` leaves the first n out. ``stop_below`` keeps the first token to which the teacher
    gives less than that probability (its prefix is still sound, and there the teacher has most to
    say) and leaves out all that follow: the teacher says nothing useful on a derailed prefix.
    """
    positions_T = torch.arange(mask_BT.shape[1], device=mask_BT.device)
    counted_BT = mask_BT.bool() & (positions_T >= config.skip_first)
    if config.stop_below > 0 and teacher_logprobs_BT is not None:
        derails_BT = (teacher_logprobs_BT < math.log(config.stop_below)) & mask_BT.bool()
        derailed_before_BT = derails_BT.long().cumsum(1) - derails_BT.long() > 0
        counted_BT &= ~derailed_before_BT
    return counted_BT


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
