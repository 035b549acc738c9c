"""What is logged of every step: loss, entropy, lengths, and signs that something goes wrong."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Final

import torch

from backend.config import RunConfig
from backend.training.divergence import token_kls
from backend.training.prefill import completion_hidden
from backend.training.rollouts import Rollouts
from backend.training.step import StepReport
from backend.training.trainer import Trainer

# Openings that a student picks up from a teacher that has seen a demonstration.
ARTEFACT_PHRASES: Final = re.compile(
    r"\b(based on the (text|example|information|response)|as (shown|given) in the example"
    r"|following the example|the example (response|above))\b",
    re.IGNORECASE,
)


def observe(trainer: Trainer, report: StepReport) -> dict[str, float]:
    """The metrics of one step. ``loss`` is in nats a counted token, averaged as configured."""
    compared, mask_BT = report.compared, report.batch.completion_mask_BT
    lengths = mask_BT.sum(1).float()
    counted = report.weights_BT > 0
    values = {
        "loss": report.loss,
        "grad_norm": report.grad_norm,
        "learning_rate": report.learning_rate,
        "entropy": float(compared.entropy_N.mean()) if len(compared.entropy_N) else 0.0,
        "completion_tokens": float(lengths.mean()),
        "counted_fraction": float(counted.sum()) / max(1.0, float(mask_BT.sum())),
        "clipped_fraction": sum(report.rollouts.clipped) / len(report.rollouts.clipped),
        "student_share": report.rollouts.sources.count("student") / len(report.rollouts.sources),
    }
    values |= _of_method(trainer.config, report)
    if trainer.config.evaluate.kl_rows:
        values["rollout_kl_to_base"] = _kl_to_base(trainer, report)
    written = _written(report.rollouts)
    if written:
        texts = [trainer.model.tokenizer.decode(ids) for ids in written]
        values["distinct_2"] = distinct_pairs(written)
        values["artefact_rate"] = sum(bool(ARTEFACT_PHRASES.search(t)) for t in texts) / len(texts)
    return values


def _of_method(config: RunConfig, report: StepReport) -> dict[str, float]:
    """What only some methods have: lessons, derailed rollouts, other losses."""
    values: dict[str, float] = {}
    if config.token_weights.stop_below > 0:
        values["derailed_fraction"] = report.derailed / len(report.rows)
    if config.divergence.support == "sampled-token" and report.teacher_logprobs_BT is not None:
        # The loss of sampled tokens is no KL; their mean log-ratio estimates it.
        mask_BT = report.batch.completion_mask_BT
        weights_N = report.weights_BT[mask_BT]
        ratio_N = report.compared.logprob_N - report.teacher_logprobs_BT[mask_BT]
        values["log_ratio"] = float((ratio_N * weights_N).sum())
    if report.demonstration_nll is not None:
        values["demonstration_nll"] = report.demonstration_nll
    if report.lessons.scores is not None:
        values["rollout_score"] = sum(report.lessons.scores) / len(report.lessons.scores)
        values["lesson_fraction"] = sum(report.lessons.has_lesson) / len(report.rows)
        values["lessons_too_long"] = float(report.lessons.too_long)
    return values


@torch.no_grad()
def _kl_to_base(trainer: Trainer, report: StepReport) -> float:
    """Mean KL(student || base) on the tokens of the step's first rollouts, before its update."""
    model = trainer.model
    batch = report.batch.rows(slice(0, trainer.config.evaluate.kl_rows))
    with model.base_weights():
        base_NH = completion_hidden(model, batch)
    kls_N = token_kls(model.head, report.student_hidden_NH[: len(base_NH)], base_NH)
    return float(kls_N.mean()) if len(kls_N) else 0.0


def distinct_pairs(completions: Sequence[Sequence[int]]) -> float:
    """Different pairs of neighbouring tokens among all of them: low where texts repeat."""
    pairs = [pair for ids in completions for pair in itertools.pairwise(ids)]
    return len(set(pairs)) / len(pairs) if pairs else 1.0


def _written(rollouts: Rollouts) -> list[list[int]]:
    """The completions that the student or the teacher wrote."""
    return [
        ids
        for ids, source in zip(rollouts.completions, rollouts.sources, strict=True)
        if source != "demonstration"
    ]
