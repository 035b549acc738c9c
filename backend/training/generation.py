"""Writing completions token by token: greedy or sampled, from an own generator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.models.language_model import LanguageModel
from backend.training.prefill import prefill, read_on


@dataclass(frozen=True)
class Sampling:
    """Temperature 0 is greedy; top_p 1, top_k 0 and min_p 0 leave the distribution whole."""

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0


@torch.no_grad()
def generate(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    generator: torch.Generator | None = None,
) -> list[list[int]]:
    """One completion a prompt, ending with the model's first end token or at the length limit.

    Rows that have ended leave the batch once they are half of it.
    """
    device = model.compute.device
    ends = torch.tensor(sorted(model.tokenizer.eos_ids), device=device)
    read = prefill(model, prompts)
    cache, mask_BL, positions_B1 = read.cache, read.mask_BP, read.next_positions_B1
    last_BH = read.last_BH
    completions: list[list[int]] = [[] for _ in prompts]
    rows = torch.arange(len(prompts), device=device)
    live_B = torch.ones(len(prompts), dtype=torch.bool, device=device)
    for length in range(1, sampling.max_new_tokens + 1):
        with model.compute.autocast():
            logits_BV = model.head(last_BH)
        tokens_B = choose(logits_BV, sampling, generator)
        for row, token, alive in zip(
            rows.tolist(), tokens_B.tolist(), live_B.tolist(), strict=True
        ):
            if alive:
                completions[row].append(token)
        live_B = live_B & ~torch.isin(tokens_B, ends)
        if not live_B.any() or length == sampling.max_new_tokens:
            break
        if int(live_B.sum()) * 2 <= len(live_B):
            kept = live_B.nonzero().squeeze(1)
            cache.batch_select_indices(kept)
            rows, tokens_B, positions_B1, mask_BL, live_B = (
                rows[kept], tokens_B[kept], positions_B1[kept], mask_BL[kept], live_B[kept],
            )  # fmt: skip
        mask_BL = torch.cat([mask_BL, mask_BL.new_ones(len(mask_BL), 1)], 1)
        last_BH = read_on(model, tokens_B[:, None], mask_BL, positions_B1, cache)[:, -1]
        positions_B1 = positions_B1 + 1
    return completions


def choose(logits_BV: Tensor, sampling: Sampling, generator: torch.Generator | None) -> Tensor:
    """The next token [B] of each row, by exact sampling in fp32."""
    if sampling.temperature == 0.0:
        return logits_BV.argmax(-1)
    logits_BV = logits_BV.float() / sampling.temperature
    if sampling.top_k:
        kth_B1 = logits_BV.topk(min(sampling.top_k, logits_BV.shape[-1])).values[:, -1:]
        logits_BV = logits_BV.masked_fill(logits_BV < kth_B1, float("-inf"))
    if sampling.top_p < 1.0:
        logits_BV = _nucleus(logits_BV, sampling.top_p)
    if sampling.min_p:
        floor_B1 = logits_BV.max(-1, keepdim=True).values + math.log(sampling.min_p)
        logits_BV = logits_BV.masked_fill(logits_BV < floor_B1, float("-inf"))
    return _drawn(logits_BV.softmax(-1), generator)


def _drawn(probabilities_BV: Tensor, generator: torch.Generator | None) -> Tensor:
    """A token [B] of each row, where a random number falls in its cumulative distribution.

    One number a row, in double precision where the device has it; torch.multinomial draws one for
    each token of the vocabulary.
    """
    device = probabilities_BV.device
    precise = torch.float32 if device.type == "mps" else torch.float64
    reached_BV = probabilities_BV.cumsum(-1, dtype=precise)
    total_B1 = reached_BV[:, -1:]
    drawn_B1 = (
        torch.rand(total_B1.shape, dtype=precise, device=device, generator=generator) * total_B1
    )
    # A product that rounds up to the total would lie behind the last token.
    drawn_B1 = torch.minimum(drawn_B1, torch.nextafter(total_B1, torch.zeros_like(total_B1)))
    return torch.searchsorted(reached_BV, drawn_B1, right=True).squeeze(-1)


def _nucleus(logits_BV: Tensor, top_p: float) -> Tensor:
    ordered_BV, order_BV = logits_BV.sort(-1, descending=True)
    mass_before_BV = ordered_BV.softmax(-1).cumsum(-1) - ordered_BV.softmax(-1)
    ordered_BV = ordered_BV.masked_fill(mass_before_BV >= top_p, float("-inf"))
    return torch.empty_like(logits_BV).scatter_(-1, order_BV, ordered_BV)
