"""Writing completions token by token: greedy or sampled, from an own generator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache

from backend.models.kept import Activations
from backend.models.language_model import LanguageModel
from backend.training.cache import empty_cache, sees_all
from backend.training.drafts import Draft, Phrases
from backend.training.openings import open_rows
from backend.training.prefill import read_on
from backend.training.writing import Writing
from backend.training.written import Written


@dataclass(frozen=True)
class Sampling:
    """Temperature 0 is greedy; top_p 1, top_k 0 and min_p 0 leave the distribution whole."""

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0


def generate(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    generator: torch.Generator | None = None,
    drafts: Sequence[Sequence[int]] = (),
) -> list[list[int]]:
    """One completion a prompt, ending with the model's first end token or at the length limit.

    ``drafts`` are texts that the completions may resemble: the more they do, the sooner they are
    written. What is written is the same as without, but for rounding.
    """
    return write(model, prompts, sampling, generator, drafts).completions


@torch.no_grad()
def write(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    generator: torch.Generator | None = None,
    drafts: Sequence[Sequence[int]] = (),
    *,
    keeps: bool = False,
) -> Written:
    """As :func:`generate`; ``keeps`` asks for what a backward pass needs of the tokens."""
    reader = model.reader() if keeps else None
    if reader is None:
        return Written(prompts, _written(model, prompts, sampling, generator, drafts).completions)
    activations = Activations()
    with reader.keeping(activations):
        writing = _written(model, prompts, sampling, generator, drafts)
    return Written(prompts, writing.completions, activations, writing.paths)


def _written(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    generator: torch.Generator | None,
    drafts: Sequence[Sequence[int]],
) -> Writing:
    # A wrong guess leaves a gap in the mask, which a window that slides would count.
    can_guess = bool(drafts) and sees_all(empty_cache(model.network.config))
    texts = drafts if can_guess else [()] * len(prompts)
    phrases = Phrases(texts)
    writing = Writing(
        [Draft(ids, phrases) for ids in texts],
        [len(prompt) for prompt in prompts],
        sampling.max_new_tokens,
        model.tokenizer.eos_ids,
    )
    read = open_rows(model, prompts, writing.open())
    if read.paths is not None:
        writing.opened(read.paths)
    cache, mask_BL, hidden_NH = read.cache, read.mask_BP, read.hidden_NH
    numbers_BT = _numbers(len(prompts), sampling, generator, model.compute.device)
    while True:
        with model.compute.autocast():
            logits_NV = model.head(hidden_NH)
        rows_N, places_N = writing.places()
        right = writing.take(choose(logits_NV, sampling, numbers_BT[rows_N, places_N]).tolist())
        if writing.is_done:
            return writing
        mask_BL = _forget(cache, mask_BL, writing.offers, right)
        kept = writing.leave()
        if kept is not None:
            kept_B = torch.tensor(kept, device=mask_BL.device)
            cache.batch_select_indices(kept_B)
            mask_BL = mask_BL[kept_B]
        ids_BQ, real_BQ, positions_BQ = (
            torch.tensor(each, device=mask_BL.device) for each in writing.guess()
        )
        mask_BL = torch.cat([mask_BL, real_BQ], 1)
        hidden_NH = read_on(model, ids_BQ, mask_BL, positions_BQ, cache)[real_BQ.bool()]


def _forget(
    cache: DynamicCache, mask_BL: Tensor, offers: Sequence[Sequence[int]], right: Sequence[int]
) -> Tensor:
    """The mask without what was offered and is wrong; the cache without what no row needs."""
    width = max(map(len, offers))
    if width == 0:
        return mask_BL
    kept_BQ = [[int(ahead < count) for ahead in range(width)] for count in right]
    mask_BL[:, -width:] = torch.tensor(kept_BQ, device=mask_BL.device)
    surplus = width - max(right)
    if surplus == 0:
        return mask_BL
    cache.crop(-surplus)
    return mask_BL[:, :-surplus]


def _numbers(
    rows: int, sampling: Sampling, generator: torch.Generator | None, device: torch.device
) -> Tensor:
    """A random number [B, T] for each token of each row: in [0, 1), in double precision if any."""
    precise = torch.float32 if device.type == "mps" else torch.float64
    shape = (rows, sampling.max_new_tokens)
    if sampling.temperature == 0.0:
        return torch.zeros(shape, dtype=precise, device=device)
    return torch.rand(shape, dtype=precise, device=device, generator=generator)


def choose(logits_BV: Tensor, sampling: Sampling, numbers_B: Tensor) -> Tensor:
    """The next token [B] of each row, by exact sampling in fp32; numbers are in [0, 1)."""
    if sampling.temperature == 0.0:
        return logits_BV.argmax(-1)
    logits_BV = logits_BV.float()
    if sampling.temperature != 1.0:
        logits_BV = logits_BV / sampling.temperature
    if sampling.top_k:
        kth_B1 = logits_BV.topk(min(sampling.top_k, logits_BV.shape[-1])).values[:, -1:]
        logits_BV = logits_BV.masked_fill(logits_BV < kth_B1, float("-inf"))
    if sampling.top_p < 1.0:
        logits_BV = _nucleus(logits_BV, sampling.top_p)
    if sampling.min_p:
        floor_B1 = logits_BV.max(-1, keepdim=True).values + math.log(sampling.min_p)
        logits_BV = logits_BV.masked_fill(logits_BV < floor_B1, float("-inf"))
    return _drawn(logits_BV.softmax(-1), numbers_B)


def _drawn(probabilities_BV: Tensor, numbers_B: Tensor) -> Tensor:
    """A token [B] of each row, where its number falls in its cumulative distribution."""
    reached_BV = probabilities_BV.cumsum(-1, dtype=numbers_B.dtype)
    total_B1 = reached_BV[:, -1:]
    drawn_B1 = numbers_B[:, None] * total_B1
    # A product that rounds up to the total would lie behind the last token.
    drawn_B1 = torch.minimum(drawn_B1, torch.nextafter(total_B1, torch.zeros_like(total_B1)))
    return torch.searchsorted(reached_BV, drawn_B1, right=True).squeeze(-1)


def _nucleus(logits_BV: Tensor, top_p: float) -> Tensor:
    ordered_BV, order_BV = logits_BV.sort(-1, descending=True)
    mass_before_BV = ordered_BV.softmax(-1).cumsum(-1) - ordered_BV.softmax(-1)
    ordered_BV = ordered_BV.masked_fill(mass_before_BV >= top_p, float("-inf"))
    return torch.empty_like(logits_BV).scatter_(-1, order_BV, ordered_BV)
