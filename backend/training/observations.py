"""What is logged of every step: loss, entropy, lengths, and signs that something goes wrong."""

from __future__ import annotations

import re
from typing import Final

from backend.training.rollouts import Rollouts
from backend.training.step import StepReport, Trainer

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
    written = _written(report.rollouts)
    if written:
        texts = [trainer.model.tokenizer.decode(ids) for ids in written]
        values["artefact_rate"] = sum(bool(ARTEFACT_PHRASES.search(t)) for t in texts) / len(texts)
    return values


def _written(rollouts: Rollouts) -> list[list[int]]:
    """The completions that the student or the teacher wrote."""
    return [
        ids
        for ids, source in zip(rollouts.completions, rollouts.sources, strict=True)
        if source != "demonstration"
    ]
