"""How likely a model finds given answers: forward passes only, each prompt read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from backend.data.demonstration import Message
from backend.models.language_model import LanguageModel
from backend.training.divergence import token_logprobs
from backend.training.prefill import hidden_after


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
    device, length = model.compute.device, max(map(len, flat))
    padded = [ids + [tokenizer.pad_id] * (length - len(ids)) for ids in flat]
    ids_CT = torch.tensor(padded, device=device)
    counted = [[True] * len(ids) + [False] * (length - len(ids)) for ids in flat]
    mask_CT = torch.tensor(counted, device=device)
    owners = [place for place, count in enumerate(counts) for _ in range(count)]
    hidden_CTH = hidden_after(model, prompts, owners, ids_CT, mask_CT)
    logprobs_N = token_logprobs(model.head, hidden_CTH[mask_CT], ids_CT[mask_CT])
    logprobs_CT = torch.zeros(mask_CT.shape, device=device)
    logprobs_CT[mask_CT] = logprobs_N
    means = (logprobs_CT.sum(1) / mask_CT.sum(1)).tolist()
    grouped, start = [], 0
    for count in counts:
        grouped.append(means[start : start + count])
        start += count
    return grouped
