"""One training step: the lines that every method of the zoo runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from backend.config import DivergenceConfig, value_at
from backend.data.demonstration import Demonstration
from backend.errors import UserError
from backend.models.language_model import LanguageModel
from backend.training.contexts import Prompts, read_prompts
from backend.training.divergence import Compared, Temperatures, compare, token_logprobs
from backend.training.lessons import Lessons, read_lessons
from backend.training.optimizer import clip_gradients
from backend.training.packing import Batch, pack_for
from backend.training.prefill import completion_hidden
from backend.training.rollouts import Rollouts, demonstration_ids, roll_out
from backend.training.sides import keeps_activations, own_spans, teacher_pass
from backend.training.token_weights import (
    averaging_weights,
    counted_tokens,
    derailed_tokens,
    token_factors,
)
from backend.training.trainer import Trainer
from backend.training.written import Written

# The seed of a step's random numbers: the run's seed and the step, kept apart by a large prime.
SEED_STRIDE: Final = 1_000_003


@dataclass(frozen=True)
class StepReport:
    """What a step did; N completion tokens of B rows, hidden states as the loss read them.

    ``demonstration_nll`` is None where it has no share of the loss; ``derailed`` counts the rows of
    which the loss read only a part, since the teacher gave their tokens up.
    """

    rows: Sequence[Demonstration]
    prompts: Prompts
    rollouts: Rollouts
    lessons: Lessons
    batch: Batch
    loss: float
    demonstration_nll: float | None
    grad_norm: float
    learning_rate: float
    compared: Compared
    weights_BT: Tensor
    derailed: int
    student_hidden_NH: Tensor
    teacher_hidden_NH: Tensor | None
    teacher_logprobs_BT: Tensor | None


class NotFinite(UserError):
    """A step's loss or gradient is no number; the student and its optimizer are as before it."""

    code = "not_finite"

    def __init__(
        self, message: str, rows: Sequence[Demonstration], prompts: Prompts, rollouts: Rollouts
    ) -> None:
        self.rows, self.prompts, self.rollouts = rows, prompts, rollouts
        remedy = "train again with a lower optimizer.learning_rate"
        super().__init__(message, where="training", remedy=remedy)


def training_step(trainer: Trainer, rows: Sequence[Demonstration], step: int) -> StepReport:
    """Optimizer step ``step`` (from 0) on ``rows``, each rolled out ``per_prompt`` times."""
    config, model, teacher = trainer.config, trainer.model, trainer.teacher
    rows = [row for row in rows for _ in range(config.rollout.per_prompt)]
    generator = step_generator(model, config.seed, step)

    prompts = read_prompts(model.tokenizer, rows, config.teacher, trainer.others)
    rollouts = roll_out(
        model, teacher, rows, prompts, config.rollout, step, generator, trainer.sampled,
        trainer.ranks, keeps=keeps_activations(trainer, prompts),
    )  # fmt: skip
    lessons = read_lessons(model, config, trainer.judge, rows, prompts, rollouts)
    student = pack_for(model, lessons.prompts.student, rollouts.completions)
    teacher_NH, teacher_logprobs_BT = teacher_pass(trainer, lessons.prompts, rollouts, student)
    taught_BT = student.completion_mask_BT & _column(lessons.has_lesson, student)
    counted_BT = counted_tokens(config.token_weights, taught_BT, teacher_logprobs_BT)
    weights_BT = averaging_weights(config.token_weights, counted_BT)
    nll_share = value_at(config.divergence.nll_share, step)

    sampled_BT = _sampler_logprobs(trainer, rollouts, student, teacher_NH)
    compared, student_NH, loss = _student_pass(
        trainer, student, rollouts.written, teacher_NH, (1 - nll_share) * weights_BT, sampled_BT
    )
    nll = _demonstration_pass(trainer, rows, prompts, nll_share) if nll_share else None
    loss += 0.0 if nll is None else nll_share * nll
    parameters = list(model.adapter_parameters().values())
    grad_norm = clip_gradients(parameters, config.optimizer.max_grad_norm, trainer.ranks)
    if not math.isfinite(loss) or not math.isfinite(grad_norm):
        trainer.optimizer.zero_grad(set_to_none=True)
        message = f"the loss of step {step + 1} is {loss}, its gradient norm {grad_norm}"
        raise NotFinite(message, rows, lessons.prompts, rollouts)
    learning_rate = _update(trainer, step)
    derailed_BT = derailed_tokens(config.token_weights, taught_BT, teacher_logprobs_BT)

    return StepReport(
        rows, lessons.prompts, rollouts, lessons, student, loss, nll, grad_norm, learning_rate,
        compared, weights_BT, int(derailed_BT.any(1).sum()), student_NH, teacher_NH,
        teacher_logprobs_BT,
    )  # fmt: skip


def step_generator(model: LanguageModel, seed: int, step: int) -> torch.Generator:
    """The step's own random numbers: the same after a resume, whatever ran in between."""
    torch.manual_seed(seed * SEED_STRIDE + step)
    generator = torch.Generator(model.compute.device)
    return generator.manual_seed(seed * SEED_STRIDE + step)


def _column(values: Sequence[bool], batch: Batch) -> Tensor:
    return torch.tensor(values, device=batch.completion_mask_BT.device)[:, None]


def _sampler_logprobs(
    trainer: Trainer, rollouts: Rollouts, batch: Batch, teacher_NH: Tensor | None
) -> Tensor:
    """log p [B, T] by which the teacher sampled its rollouts; NaN for those of others.

    (The student's own were sampled by the weights that the loss reads, demonstrations by none.)
    """
    unknown_BT = torch.full_like(batch.completion_mask_BT, math.nan, dtype=torch.float32)
    if teacher_NH is None or trainer.config.token_weights.importance_cap is None:
        return unknown_BT
    logprobs_N = token_logprobs(
        trainer.model.head, teacher_NH, batch.completion_ids_N, trainer.config.rollout.temperature
    )
    by_teacher = _column([source == "teacher" for source in rollouts.sources], batch)
    return torch.where(by_teacher, batch.scatter(logprobs_N), unknown_BT)


def _student_pass(
    trainer: Trainer,
    batch: Batch,
    written: Written | None,
    teacher_NH: Tensor | None,
    weights_BT: Tensor,
    sampled_BT: Tensor,
) -> tuple[Compared, Tensor, float]:
    """Forward and backward, micro-batch by micro-batch; gradients add up in the parameters.

    Where the student has ``written`` the batch, its forward pass was made then. Returns what was
    compared, the hidden states and the loss. The network stays in evaluation mode:
    dropout (GPT-2 has some) would set the student apart from a teacher with the same weights, and a
    micro-batch apart from the whole.
    """
    model, loss, ranks = trainer.model, 0.0, trainer.ranks
    parts: list[Compared] = []
    hidden_parts: list[Tensor] = []
    spans = own_spans(trainer, len(batch))
    done = int(batch.completion_mask_BT[: spans[0].start].sum())
    for span in spans:
        rows = batch.rows(span)
        student_NH = completion_hidden(model, rows, written)
        tokens = slice(done, done + len(student_NH))
        done = tokens.stop
        compared = compare(
            model.head,
            student_NH,
            None if teacher_NH is None else teacher_NH[tokens],
            rows.completion_ids_N,
            trainer.config.divergence,
            trainer.temperatures,
        )
        factors_N = token_factors(
            trainer.config.token_weights,
            compared.logprob_N,
            sampled_BT[span][rows.completion_mask_BT],
        )
        weights_N = weights_BT[span][rows.completion_mask_BT]
        part = (compared.divergence_N * factors_N * weights_N).sum()
        part.backward()  # type: ignore[no-untyped-call]
        loss += float(part.detach())
        parts.append(compared)
        hidden_parts.append(student_NH.detach())
    whole = Compared(
        ranks.join(torch.cat([part.divergence_N.detach() for part in parts])),
        ranks.join(torch.cat([part.entropy_N for part in parts])),
        ranks.join(torch.cat([part.logprob_N.detach() for part in parts])),
    )
    return whole, ranks.join(torch.cat(hidden_parts)), math.fsum(ranks.join_lists([loss]))


def _demonstration_pass(
    trainer: Trainer, rows: Sequence[Demonstration], prompts: Prompts, share: float
) -> float:
    """-log p of the demonstrations, averaged as configured; its gradient is scaled by ``share``."""
    model, config, nll = trainer.model, trainer.config, 0.0
    shown = [demonstration_ids(model, row) for row in rows]
    batch = pack_for(model, prompts.student, shown)
    weights_BT = averaging_weights(config.token_weights, batch.completion_mask_BT)
    for span in own_spans(trainer, len(batch)):
        part = batch.rows(span)
        compared = compare(
            model.head,
            completion_hidden(model, part),
            None,
            part.completion_ids_N,
            DivergenceConfig(kind="nll"),
            Temperatures(),
        )
        loss = (compared.divergence_N * weights_BT[span][part.completion_mask_BT]).sum()
        (share * loss).backward()  # type: ignore[no-untyped-call]
        nll += float(loss.detach())
    return math.fsum(trainer.ranks.join_lists([nll]))


def _update(trainer: Trainer, step: int) -> float:
    """Optimizer, schedule, and the teacher follows. Returns the learning rate used."""
    learning_rate = float(trainer.scheduler.get_last_lr()[0])
    trainer.optimizer.step()
    trainer.scheduler.step()
    trainer.optimizer.zero_grad(set_to_none=True)
    trainer.teacher.follow(step + 1)
    return learning_rate
