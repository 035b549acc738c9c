"""OPSD's and tinker-cookbook's losses, written out entry by entry, against the engine's.

OPSD: siyan-zhao/OPSD, opsd_trainer.py; tinker-cookbook: distillation/sdft.py and train_on_policy.py
with its importance-sampling loss. Both are oracles here as formulas; where they do something else
than the engine, that is what is asserted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from backend.config import DivergenceConfig
from backend.training.divergence import divergence

bounded = settings(max_examples=25, deadline=None, derandomize=True)


def logits(seed: int, rows: int = 5, columns: int = 7) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, columns, generator=generator, dtype=torch.float64) * 2


def opsd_loss(
    student: Sequence[Sequence[float]],
    teacher: Sequence[Sequence[float]],
    share: float,
    clip: float | None,
) -> float:
    """The mean over tokens of the sum over the vocabulary of terms, each clipped from above."""
    total = 0.0
    for p_row, q_row in zip(student, teacher, strict=True):
        for p, q in zip(p_row, q_row, strict=True):
            if share == 0:
                term = q * math.log(q / p)
            else:
                m = (1 - share) * p + share * q
                term = share * q * math.log(q / m) + (1 - share) * p * math.log(p / m)
            total += term if clip is None else min(term, clip)
    return total / len(student)


@bounded
@given(st.integers(0, 1000), st.sampled_from([None, 0.05, 0.5]), st.sampled_from([0.0, 0.5, 0.9]))
def test_opsds_clipped_divergence_is_the_engines(
    seed: int, clip: float | None, share: float
) -> None:
    """Checklist 12: a share of 0 is forward KL, as in its third version; else it is JSD."""
    student, teacher = (logits(seed + i).log_softmax(-1) for i in (0, 1))
    kind = {"kind": "jsd", "teacher_share": share} if share else {"kind": "forward_kl"}
    config = DivergenceConfig.model_validate({**kind, "clip": clip})
    ours = divergence(student, teacher, torch.zeros(5, dtype=torch.long), config).mean()
    theirs = opsd_loss(student.exp().tolist(), teacher.exp().tolist(), share, clip)
    assert float(ours) == pytest.approx(theirs, rel=1e-9)


def tinker_loss(now: Tensor, sampled: Tensor, teacher: Tensor) -> Tensor:
    """Importance sampling with the advantage log p_T - log p_sampler, summed over tokens."""
    advantage = (teacher - sampled).detach()
    return -((now - sampled.detach()).exp() * advantage).sum()


def gradients(seed: int, drift: float) -> tuple[Tensor, Tensor]:
    """Of tinker's loss and of the engine's on the same tokens; the sampler is ``drift`` away."""
    theta = logits(seed).requires_grad_()
    ids = torch.arange(5)
    student = theta.log_softmax(-1)
    teacher = logits(seed + 1).log_softmax(-1)
    sampler = (theta.detach() + drift * logits(seed + 2)).log_softmax(-1)
    own, taught, sampled = (
        side.gather(-1, ids[:, None]).squeeze(-1) for side in (student, teacher, sampler)
    )
    config = DivergenceConfig(kind="reverse_kl", support="sampled-token")
    losses = tinker_loss(own, sampled, taught), divergence(student, teacher, ids, config).sum()
    first, second = (torch.autograd.grad(each, theta, retain_graph=True)[0] for each in losses)
    return first, second


@bounded
@given(st.integers(0, 1000))
def test_tinkers_gradient_is_that_of_sampled_tokens_on_policy(seed: int) -> None:
    """Checklist 12: a sum over tokens there, before the token weights here."""
    theirs, ours = gradients(seed, drift=0.0)
    torch.testing.assert_close(ours, theirs)


def test_off_policy_tinker_keeps_the_samplers_advantage_and_the_engine_does_not() -> None:
    """Checklist 12: every batch of rollouts is used once here, so this never comes to pass."""
    theirs, ours = gradients(3, drift=0.5)
    assert not torch.allclose(ours, theirs, rtol=0.05)
