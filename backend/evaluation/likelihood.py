"""How likely a model finds given answers: forward passes only, each prompt read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from backend.data.demonstration import Message
from backend.models.language_model import LanguageModel
from backend.training.divergence import token_logprobs
from backend.training.prefill import prefill, read_on


@torch.no_grad()
def choice_logprobs(model: LanguageModel, rows: Sequence[Mapping[str, Any]]) -> list[list[float]]:
    """Mean log-probability a token, in nats, of every choice of every row, ended as an answer."""
    tokenizer = model.tokenizer
    prompts = [
        tokenizer.prompt_ids([Message(role="user", content=row["question"])]) for row in rows
    ]
    choices = [
        [[*tokenizer.encode(choice), tokenizer.end_id] for choice in row["choices"]] for row in rows
    ]
    counts = [len(group) for group in choices]
    flat = [ids for group in choices for ids in group]
    hidden_CTH, mask_CT, ids_CT = _read_choices(model, prompts, flat, counts)
    logprobs_N = token_logprobs(model.head, hidden_CTH[mask_CT], ids_CT[mask_CT])
    logprobs_CT = torch.zeros(mask_CT.shape, device=logprobs_N.device)
    logprobs_CT[mask_CT] = logprobs_N
    means = (logprobs_CT.sum(1) / mask_CT.sum(1)).tolist()
    grouped, start = [], 0
    for count in counts:
        grouped.append(means[start : start + count])
        start += count
    return grouped


def _read_choices(
    model: LanguageModel, prompts: list[list[int]], choices: list[list[int]], counts: list[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states [C, T, H] that predict the tokens of C choices, their mask and ids [C, T]."""
    device, pad_id = model.compute.device, model.tokenizer.pad_id
    read = prefill(model, prompts)
    owner_C = torch.repeat_interleave(
        torch.arange(len(prompts), device=device), torch.tensor(counts, device=device)
    )
    read.cache.batch_select_indices(owner_C)
    length = max(len(choice) for choice in choices)
    ids_CT = torch.tensor([c + [pad_id] * (length - len(c)) for c in choices], device=device)
    mask_CT = torch.tensor([[1] * len(c) + [0] * (length - len(c)) for c in choices], device=device)
    last_C1H = read.last_BH[owner_C, None]
    if length == 1:
        return last_C1H, mask_CT.bool(), ids_CT
    # Nothing is predicted from a choice's last token.
    before_last = torch.arange(length - 1, device=device)
    choice_CTH = read_on(
        model,
        ids_CT[:, :-1],
        torch.cat([read.mask_BP[owner_C], mask_CT[:, :-1]], 1),
        read.next_positions_B1[owner_C] + before_last,
        read.cache,
    )
    return torch.cat([last_C1H, choice_CTH], 1), mask_CT.bool(), ids_CT
