"""Traces: what student and teacher thought of every token of a rollout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from backend.data.demonstration import Demonstration
from backend.training.contexts import Prompts, read_prompts
from backend.training.divergence import CHUNK_TOKENS, compare, token_kls
from backend.training.generation import Sampling, generate
from backend.training.packing import Batch, pack_for
from backend.training.prefill import completion_hidden
from backend.training.recorder import TokenTrace, Trace
from backend.training.step import StepReport
from backend.training.trainer import Trainer

TOP: Final = 5


@dataclass(frozen=True)
class _Side:
    """One role's view of N tokens, at temperature 1."""

    logprobs_N: Tensor
    entropy_N: Tensor
    top_ids_N5: Tensor
    top_logprobs_N5: Tensor

    def part(self, name: str, span: slice) -> Any:
        values: Tensor = getattr(self, name)[span]
        kind = np.int32 if name == "top_ids_N5" else np.float32
        return values.cpu().numpy().astype(kind)


def traces_of_step(trainer: Trainer, report: StepReport, step: int, rows: int) -> list[Trace]:
    """The first ``rows`` rollouts of a step, as the loss saw them."""
    # Only what is kept of the batch goes through the head again, its tokens being in rows' order.
    batch = report.batch.rows(slice(0, rows))
    tokens = slice(0, len(batch.completion_ids_N))
    teacher_NH = report.teacher_hidden_NH
    views = _token_traces(
        trainer,
        batch,
        report.student_hidden_NH[tokens],
        None if teacher_NH is None else teacher_NH[tokens],
        report.compared.divergence_N[tokens],
        report.weights_BT[: len(batch)],
    )
    return [
        _trace(trainer, step, "sampled", report.rows[i], report.rollouts.sources[i],
               report.prompts, report.rollouts.completions[i], i, views[i])
        for i in range(len(views))
    ]  # fmt: skip


@dataclass(frozen=True)
class Watched:
    """Traces of held-out prompts, and the mean KL(student || base) on their tokens, in nats."""

    traces: list[Trace]
    kl_to_base: float


@torch.no_grad()
def watch(
    trainer: Trainer, rows: Sequence[Demonstration], step: int, base_answers: Sequence[str]
) -> Watched:
    """The student's greedy answers to held-out prompts, scored by student and teacher.

    Nothing is trained on them; the teacher sees the row's demonstration, as it does in training.
    """
    model, config = trainer.model, trainer.config
    prompts = read_prompts(model.tokenizer, rows, config.teacher, trainer.others)
    sampling = Sampling(config.evaluate.max_new_tokens)
    with model.merged():
        completions = generate(model, prompts.student, sampling)
    batch = pack_for(model, prompts.student, completions)
    student_NH = completion_hidden(model, batch)
    with model.base_weights():
        base_NH = completion_hidden(model, batch)
    teacher_NH: Tensor | None = None
    answers: list[str | None] = [None] * len(rows)
    if prompts.teacher is not None:
        with trainer.teacher.in_place():
            answers = [*_answers(trainer, prompts.teacher, sampling)]
            seen = pack_for(model, prompts.teacher, completions)
            teacher_NH = completion_hidden(model, seen)
    compared = compare(
        model.head, student_NH, teacher_NH, batch.completion_ids_N,
        config.divergence, trainer.temperatures,
    )  # fmt: skip
    weights_BT = batch.completion_mask_BT.float()
    views = _token_traces(trainer, batch, student_NH, teacher_NH, compared.divergence_N, weights_BT)
    traces = [
        _trace(trainer, step, "watched", row, "student", prompts, completions[i], i, views[i],
               teacher_answer=answers[i], base_answer=base_answers[i])
        for i, row in enumerate(rows)
    ]  # fmt: skip
    return Watched(traces, float(token_kls(model.head, student_NH, base_NH).mean()))


def base_answers(trainer: Trainer, rows: Sequence[Demonstration]) -> list[str]:
    """The original model's greedy answers to ``rows``."""
    model = trainer.model
    prompts = read_prompts(model.tokenizer, rows, trainer.config.teacher)
    with model.base_weights():
        return _answers(trainer, prompts.student, Sampling(trainer.config.evaluate.max_new_tokens))


def _answers(trainer: Trainer, prompts: list[list[int]], sampling: Sampling) -> list[str]:
    tokenizer = trainer.model.tokenizer
    with trainer.model.merged():
        return [tokenizer.decode(ids) for ids in generate(trainer.model, prompts, sampling)]


def _trace(
    trainer: Trainer,
    step: int,
    kind: Any,
    row: Demonstration,
    source: str,
    prompts: Prompts,
    completion: list[int],
    i: int,
    tokens: TokenTrace,
    **answers: str | None,
) -> Trace:
    tokenizer = trainer.model.tokenizer
    return Trace(
        step=step,
        kind=kind,
        demonstration_id=row.id,
        source=source,
        student_prompt=tokenizer.decode(prompts.student[i], skip_special=False),
        teacher_prompt=None
        if prompts.teacher is None
        else tokenizer.decode(prompts.teacher[i], skip_special=False),
        completion=tokenizer.decode(completion),
        demonstration=row.demonstration,
        tokens=tokens,
        **answers,
    )


@torch.no_grad()
def _token_traces(
    trainer: Trainer,
    batch: Batch,
    student_NH: Tensor,
    teacher_NH: Tensor | None,
    divergence_N: Tensor,
    weights_BT: Tensor,
) -> list[TokenTrace]:
    head, ids_N = trainer.model.head, batch.completion_ids_N
    student = _view(head, student_NH, ids_N)
    teacher = None if teacher_NH is None else _view(head, teacher_NH, ids_N)
    weights_N = weights_BT[batch.completion_mask_BT].cpu().numpy().astype(np.float32)
    divergences = divergence_N.cpu().numpy().astype(np.float32)
    token_ids = ids_N.cpu().numpy().astype(np.int32)
    traces, end = [], 0
    for length in batch.completion_mask_BT.sum(1).tolist():
        span = slice(end, end + length)
        end = span.stop
        sides = {
            f"{role}_{name}_T{suffix}": side.part(f"{name}_N{suffix}", span)
            for role, side in (("student", student), ("teacher", teacher))
            if side is not None
            for name, suffix in (
                ("logprobs", ""), ("entropy", ""), ("top_ids", "5"), ("top_logprobs", "5"),
            )
        }  # fmt: skip
        traces.append(TokenTrace(token_ids[span], weights_N[span], divergences[span], **sides))
    return traces


def _view(head: Any, hidden_NH: Tensor, ids_N: Tensor) -> _Side:
    if not len(ids_N):
        none_N, none_N5 = hidden_NH.new_zeros(0), hidden_NH.new_zeros(0, TOP)
        return _Side(none_N, none_N, none_N5, none_N5)
    columns: list[tuple[Tensor, ...]] = []
    for start in range(0, len(ids_N), CHUNK_TOKENS):
        logprobs_NV = log_softmax(head(hidden_NH[start : start + CHUNK_TOKENS]), -1)
        own = logprobs_NV.gather(-1, ids_N[start : start + CHUNK_TOKENS, None]).squeeze(-1)
        entropy = -(logprobs_NV.exp() * logprobs_NV).sum(-1)
        top = logprobs_NV.topk(min(TOP, logprobs_NV.shape[-1]), -1)
        columns.append((own, entropy, top.indices, top.values))
    return _Side(*(torch.cat(column) for column in zip(*columns, strict=True)))
