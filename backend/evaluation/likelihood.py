"""How likely a model finds given answers: forward passes only, each prompt read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from backend.data.demonstration import Message
from backend.models.language_model import LanguageModel
from backend.training.divergence import token_logprobs
from backend.training.packing import pack
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
    owners = [place for place, count in enumerate(counts) for _ in range(count)]
    batch = pack([prompts[place] for place in owners], flat, tokenizer.pad_id, model.compute.device)
    mask_CT = batch.completion_mask_BT
    hidden_CTH = hidden_after(model, prompts, owners, batch.completion_ids_BT, mask_CT)
    logprobs_N = token_logprobs(model.head, hidden_CTH[mask_CT], batch.completion_ids_N)
    means = (batch.scatter(logprobs_N).sum(1) / mask_CT.sum(1)).tolist()
    grouped, start = [], 0
    for count in counts:
        grouped.append(means[start : start + count])
        start += count
    return grouped
