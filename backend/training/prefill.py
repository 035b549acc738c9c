"""Reading prompts into a cache: what all of them begin with (a system message) is read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from transformers import DynamicCache

from backend.models.language_model import LanguageModel
from backend.training.cache import empty_cache, sees_all
from backend.training.packing import left_pad, positions

# A shorter beginning costs more as a pass of its own than it spares.
_WORTH_SHARING: Final = 8


@dataclass(frozen=True)
class Prefilled:
    """B prompts as a model has read them, P tokens with their padding."""

    last_BH: Tensor
    cache: DynamicCache
    mask_BP: Tensor

    @property
    def next_positions_B1(self) -> Tensor:
        """The position of each row's next token."""
        return self.mask_BP.sum(1, keepdim=True)


def prefill(model: LanguageModel, prompts: Sequence[Sequence[int]]) -> Prefilled:
    """Hidden states at the last token of each prompt, and the cache to go on from."""
    device, pad_id = model.compute.device, model.tokenizer.pad_id
    cache = empty_cache(model.network.config)
    # Padding comes to lie behind the beginning: a sliding window would count it.
    shared = common_beginning(prompts) if sees_all(cache) else 0
    if shared < _WORTH_SHARING:
        ids_BP, mask_BP, positions_BP = left_pad(prompts, pad_id, device)
    else:
        read_on(model, *left_pad([prompts[0][:shared]], pad_id, device), cache)
        cache.batch_select_indices(torch.zeros(len(prompts), dtype=torch.long, device=device))
        ids_BP, mask_BP, _ = left_pad([prompt[shared:] for prompt in prompts], pad_id, device)
        mask_BP = torch.cat([mask_BP.new_ones(len(prompts), shared), mask_BP], 1)
        positions_BP = positions(mask_BP)[:, shared:]
    hidden_BPH = read_on(model, ids_BP, mask_BP, positions_BP, cache)
    return Prefilled(hidden_BPH[:, -1], cache, mask_BP)


def common_beginning(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts begin with; at least one is left of each."""
    if len(prompts) < 2:
        return 0
    alike = 0
    for tokens in zip(*prompts, strict=False):
        if len(set(tokens)) > 1:
            break
        alike += 1
    return min(alike, min(map(len, prompts)) - 1)


def read_on(
    model: LanguageModel,
    ids_BL: Tensor,
    mask_BP: Tensor,
    positions_BL: Tensor,
    cache: DynamicCache,
) -> Tensor:
    """Hidden states [B, L, H] of tokens that follow on what the cache holds, which it then has too.

    The mask is of all P tokens, those of the cache first.
    """
    found: Tensor = model.backbone(
        input_ids=ids_BL,
        attention_mask=mask_BP,
        position_ids=positions_BL,
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state
    return found
