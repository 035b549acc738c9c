"""How student and teacher read the same completions: in which spans, and by which weights."""

from __future__ import annotations

import contextlib
from typing import Final

import torch
from torch import Tensor

from backend.training.contexts import Prompts
from backend.training.divergence import token_logprobs
from backend.training.packing import Batch, pack_for
from backend.training.prefill import completion_hidden
from backend.training.rollouts import Rollouts
from backend.training.trainer import Trainer

# From so many tokens on, reading merged weights spares more than merging takes.
_MERGED_TOKENS: Final = 400


def own_spans(trainer: Trainer, rows: int) -> list[slice]:
    """This process's share of the rows, in spans that go through the network together."""
    share = trainer.ranks.share(rows)
    size = trainer.config.micro_batch_size or max(1, len(share))
    starts = range(share.start, share.stop, size)
    return [slice(start, min(start + size, share.stop)) for start in starts]


def keeps_activations(trainer: Trainer, prompts: Prompts) -> bool:
    """Whether what was computed while answers were written serves as the student's forward pass.

    It does where all rows go through the network together.
    """
    rows = len(prompts.student)
    is_whole = own_spans(trainer, rows) == [slice(0, rows)]
    return is_whole and _go_apart(trainer, prompts)


def _go_apart(trainer: Trainer, prompts: Prompts) -> bool:
    """Whether the sides may come to their hidden states by other products.

    Not where both read the same: rounding would set a student apart from an equal teacher.
    """
    return prompts.teacher != prompts.student and trainer.model.flat() is not None


def teacher_pass(
    trainer: Trainer, prompts: Prompts, rollouts: Rollouts, student: Batch
) -> tuple[Tensor | None, Tensor | None]:
    """The teacher's hidden states [N, H] on the same completion tokens, and its log p(y) [B, T].

    The latter only where somebody asks for it, since it takes logits of its own.
    """
    if prompts.teacher is None:
        return None, None
    model = trainer.model
    batch = pack_for(model, prompts.teacher, rollouts.completions)
    is_long = int(batch.attention_mask_BL.sum()) >= _MERGED_TOKENS
    merges = is_long and _go_apart(trainer, prompts)
    weights = model.merged(head=False) if merges else contextlib.nullcontext()
    with trainer.teacher.in_place(), weights:
        spans = own_spans(trainer, len(batch))
        hidden_NH = torch.cat([completion_hidden(model, batch.rows(span)) for span in spans])
    hidden_NH = trainer.ranks.join(hidden_NH)
    config = trainer.config
    if config.token_weights.stop_below <= 0 and config.divergence.support != "sampled-token":
        return hidden_NH, None
    logprobs_N = token_logprobs(
        model.head, hidden_NH, student.completion_ids_N, trainer.temperatures.teacher
    )
    return hidden_NH, student.scatter(logprobs_N)
