"""One training step: the lines that every method of the zoo runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from backend.config import RunConfig
from backend.data.demonstration import Demonstration
from backend.models.language_model import LanguageModel
from backend.training.contexts import Prompts, read_prompts
from backend.training.divergence import Compared, Temperatures, compare, token_logprobs
from backend.training.packing import Batch, completion_hidden, pack
from backend.training.rollouts import Rollouts, roll_out
from backend.training.teacher import Teacher
from backend.training.token_weights import averaging_weights, counted_tokens

# The seed of a step's random numbers: the run's seed and the step, kept apart by a large prime.
SEED_STRIDE: Final = 1_000_003


@dataclass(frozen=True)
class Trainer:
    """What a step works on."""

    config: RunConfig
    model: LanguageModel
    teacher: Teacher
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler

    @property
    def temperatures(self) -> Temperatures:
        """Both sides' logits are divided by the sampling temperature, except for nll."""
        if self.config.divergence.kind == "nll":
            return Temperatures()
        sampling = self.config.rollout.temperature
        return Temperatures(sampling, sampling * self.config.teacher.temperature)


@dataclass(frozen=True)
class StepReport:
    """What a step did; N completion tokens of B rows, hidden states as the loss read them."""

    rows: Sequence[Demonstration]
    prompts: Prompts
    rollouts: Rollouts
    batch: Batch
    loss: float
    grad_norm: float
    learning_rate: float
    compared: Compared
    weights_BT: Tensor
    student_hidden_NH: Tensor
    teacher_hidden_NH: Tensor | None


def training_step(trainer: Trainer, rows: Sequence[Demonstration], step: int) -> StepReport:
    """Optimizer step ``step`` (from 0) on ``rows``, each rolled out ``per_prompt`` times."""
    config, model, teacher = trainer.config, trainer.model, trainer.teacher
    rows = [row for row in rows for _ in range(config.rollout.per_prompt)]
    generator = step_generator(model, config.seed, step)

    prompts = read_prompts(model.tokenizer, rows, config.teacher)
    rollouts = roll_out(model, teacher, rows, prompts, config.rollout, step, generator)
    student = _packed(model, prompts.student, rollouts)
    teacher_NH, teacher_logprobs_BT = _teacher_pass(trainer, prompts, rollouts, student)
    counted_BT = counted_tokens(
        config.token_weights, student.completion_mask_BT, teacher_logprobs_BT
    )
    weights_BT = averaging_weights(config.token_weights, counted_BT)

    compared, student_NH = _student_pass(trainer, student, teacher_NH, weights_BT)
    loss = float((compared.divergence_N * weights_BT[student.completion_mask_BT]).sum())
    grad_norm, learning_rate = _update(trainer)

    return StepReport(
        rows, prompts, rollouts, student, loss, grad_norm, learning_rate,
        compared, weights_BT, student_NH, teacher_NH,
    )  # fmt: skip


def step_generator(model: LanguageModel, seed: int, step: int) -> torch.Generator:
    """The step's own random numbers: the same after a resume, whatever ran in between."""
    torch.manual_seed(seed * SEED_STRIDE + step)
    generator = torch.Generator(model.compute.device)
    return generator.manual_seed(seed * SEED_STRIDE + step)


def micro_batches(config: RunConfig, rows: int) -> list[slice]:
    """The spans of rows that go through the network together."""
    size = config.micro_batch_size or rows
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]


def _packed(model: LanguageModel, prompts: list[list[int]], rollouts: Rollouts) -> Batch:
    return pack(prompts, rollouts.completions, model.tokenizer.pad_id, model.compute.device)


def _teacher_pass(
    trainer: Trainer, prompts: Prompts, rollouts: Rollouts, student: Batch
) -> tuple[Tensor | None, Tensor | None]:
    """The teacher's hidden states [N, H] on the same completion tokens, and its log p(y) [B, T]."""
    if prompts.teacher is None:
        return None, None
    model = trainer.model
    batch = _packed(model, prompts.teacher, rollouts)
    with trainer.teacher.in_place():
        spans = micro_batches(trainer.config, len(batch))
        hidden_NH = torch.cat([completion_hidden(model, batch.rows(span)) for span in spans])
    logprobs_N = token_logprobs(
        model.head, hidden_NH, student.completion_ids_N, trainer.temperatures.teacher
    )
    return hidden_NH, student.scatter(logprobs_N)


def _student_pass(
    trainer: Trainer, batch: Batch, teacher_NH: Tensor | None, weights_BT: Tensor
) -> tuple[Compared, Tensor]:
    """Forward and backward, micro-batch by micro-batch; gradients add up in the parameters.

    The network stays in evaluation mode: dropout (GPT-2 has some) would set the student apart from
    a teacher with the same weights, and a micro-batch apart from the whole.
    """
    model, done = trainer.model, 0
    parts: list[Compared] = []
    hidden_parts: list[Tensor] = []
    for span in micro_batches(trainer.config, len(batch)):
        rows = batch.rows(span)
        student_NH = completion_hidden(model, rows)
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
        weights_N = weights_BT[span][rows.completion_mask_BT]
        (compared.divergence_N * weights_N).sum().backward()  # type: ignore[no-untyped-call]
        parts.append(compared)
        hidden_parts.append(student_NH.detach())
    return (
        Compared(
            torch.cat([part.divergence_N.detach() for part in parts]),
            torch.cat([part.entropy_N for part in parts]),
            torch.cat([part.logprob_N for part in parts]),
        ),
        torch.cat(hidden_parts),
    )


def _update(trainer: Trainer) -> tuple[float, float]:
    """Clip, optimizer, teacher follows. Returns the gradient's norm and the learning rate used."""
    grad_norm = torch.nn.utils.clip_grad_norm_(
        trainer.model.adapter_parameters().values(), trainer.config.optimizer.max_grad_norm
    )
    learning_rate = float(trainer.scheduler.get_last_lr()[0])
    trainer.optimizer.step()
    trainer.scheduler.step()
    trainer.optimizer.zero_grad(set_to_none=True)
    trainer.teacher.follow()
    return float(grad_norm), learning_rate
