"""Prompts and completions as one batch: left-padded prompts, completions aligned at the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.models.language_model import LanguageModel


@dataclass(frozen=True)
class Batch:
    """B rows of P prompt and T completion tokens; both once more without padding."""

    prompts: Sequence[Sequence[int]]
    completions: Sequence[Sequence[int]]
    input_ids_BL: Tensor
    attention_mask_BL: Tensor
    position_ids_BL: Tensor
    completion_ids_BT: Tensor
    completion_mask_BT: Tensor

    def __len__(self) -> int:
        return len(self.input_ids_BL)

    @property
    def completion_ids_N(self) -> Tensor:
        """The N completion tokens of all rows, row by row."""
        return self.completion_ids_BT[self.completion_mask_BT]

    def rows(self, span: slice) -> Batch:
        """Some of the rows."""
        return Batch(
            self.prompts[span],
            self.completions[span],
            self.input_ids_BL[span],
            self.attention_mask_BL[span],
            self.position_ids_BL[span],
            self.completion_ids_BT[span],
            self.completion_mask_BT[span],
        )

    def scatter(self, values_N: Tensor) -> Tensor:
        """[N] values back at their places in [B, T], zero elsewhere."""
        values_BT = torch.zeros(
            self.completion_mask_BT.shape, dtype=values_N.dtype, device=values_N.device
        )
        values_BT[self.completion_mask_BT] = values_N
        return values_BT


def left_pad(
    prompts: Sequence[Sequence[int]], pad_id: int, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Prompts as token ids, attention mask and positions, each [B, P] and aligned at the right."""
    longest = max(len(prompt) for prompt in prompts)
    ids_BP = torch.tensor([[pad_id] * (longest - len(p)) + [*p] for p in prompts], device=device)
    mask_BP = torch.tensor(
        [[0] * (longest - len(p)) + [1] * len(p) for p in prompts], device=device
    )
    return ids_BP, mask_BP, positions(mask_BP)


def positions(mask_BL: Tensor) -> Tensor:
    """Position ids [B, L] that count the tokens a mask shows; padding before them stands at 0."""
    return (mask_BL.cumsum(1) - 1).clamp(min=0)


def pack(
    prompts: Sequence[Sequence[int]],
    completions: Sequence[Sequence[int]],
    pad_id: int,
    device: torch.device,
) -> Batch:
    """A batch whose masks know prompt, completion and padding by position, never by token id.

    (The padding token may well be an end token that counts.)
    """
    prompt_length = max(len(prompt) for prompt in prompts)
    completion_length = max(1, *(len(completion) for completion in completions))
    ids, masks = [], []
    for prompt, completion in zip(prompts, completions, strict=True):
        left, right = prompt_length - len(prompt), completion_length - len(completion)
        ids.append([pad_id] * left + [*prompt, *completion] + [pad_id] * right)
        masks.append([0] * left + [1] * (len(prompt) + len(completion)) + [0] * right)
    input_ids = torch.tensor(ids, device=device)
    attention = torch.tensor(masks, device=device)
    return Batch(
        prompts,
        completions,
        input_ids,
        attention,
        positions(attention),
        input_ids[:, prompt_length:],
        attention[:, prompt_length:].bool(),
    )


def pack_for(
    model: LanguageModel, prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]
) -> Batch:
    """:func:`pack` with the model's padding, on its device."""
    return pack(prompts, completions, model.tokenizer.pad_id, model.compute.device)
