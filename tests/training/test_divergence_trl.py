"""Divergences equal TRL 1.16's loss functions on random logits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from trl.experimental.gkd import GKDTrainer
from trl.experimental.sdft.loss_utils import (
    apply_importance_sampling_clipping,
    compute_full_logit_self_distillation_loss,
    compute_sampled_token_self_distillation_loss,
    compute_topk_self_distillation_loss,
)

from backend.config import DivergenceConfig
from backend.training.divergence import Compared, Temperatures, compare, importance

B, T, V = 3, 5, 37
# TRL's one knob: 0 is forward KL, 1 is reverse KL, between them the JSD with the teacher's share.
KINDS = [("forward_kl", 0.0), ("reverse_kl", 1.0), ("jsd", 0.5), ("jsd", 0.15)]
each_kind = pytest.mark.parametrize(("kind", "alpha"), KINDS)


def logits(seed: int) -> Tensor:
    return torch.randn(B, T, V, generator=torch.Generator().manual_seed(seed)) * 3


def ours(
    kind: str,
    alpha: float,
    student: Tensor,
    teacher: Tensor,
    temperature: float,
    ids: Tensor | None = None,
    **support: Any,
) -> Compared:
    share = alpha if kind == "jsd" else 0.5
    return compare(
        lambda hidden: hidden,
        student.reshape(-1, V),
        teacher.reshape(-1, V),
        torch.zeros(B * T, dtype=torch.long) if ids is None else ids.reshape(-1),
        DivergenceConfig(kind=kind, teacher_share=share, **support),
        Temperatures(temperature, temperature),
        chunk_tokens=4,
    )


@each_kind
def test_values_and_gradients_equal_trls_self_distillation_loss(kind: str, alpha: float) -> None:
    """Checklist 12: trl.experimental.sdft.loss_utils."""
    student, teacher = logits(1).requires_grad_(), logits(2)
    theirs = compute_full_logit_self_distillation_loss(student, teacher, distillation_alpha=alpha)
    mine = ours(kind, alpha, student, teacher, 1.0).divergence_N.reshape(B, T)
    torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)
    gradients = [torch.autograd.grad(loss.sum(), student)[0] for loss in (mine, theirs)]
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-5)


@each_kind
@pytest.mark.parametrize("temperature", [1.0, 1.6])
def test_masked_token_means_equal_trls_generalised_jsd(
    kind: str, alpha: float, temperature: float
) -> None:
    """Checklist 12: GKDTrainer.generalized_jsd_loss, which averages over the unmasked tokens."""
    student, teacher = logits(3), logits(4)
    labels = torch.zeros(B, T, dtype=torch.long)
    labels[0, 3:], labels[2, 1:] = -100, -100
    theirs = GKDTrainer.generalized_jsd_loss(
        student, teacher, labels=labels, beta=alpha, temperature=temperature
    )
    mine = ours(kind, alpha, student, teacher, temperature).divergence_N.reshape(B, T)
    torch.testing.assert_close(mine[labels != -100].mean(), theirs, atol=1e-5, rtol=1e-5)


@each_kind
@pytest.mark.parametrize("tail", [False, True])
@pytest.mark.parametrize("k", [1, 5, V])
def test_the_students_likeliest_tokens_equal_trls(
    kind: str, alpha: float, k: int, tail: bool
) -> None:
    """Checklist 12: compute_topk_self_distillation_loss, with and without its tail bucket."""
    student, teacher = logits(1).requires_grad_(), logits(2)
    theirs = compute_topk_self_distillation_loss(
        student,
        teacher,
        distillation_topk=k,
        distillation_alpha=alpha,
        distillation_add_tail=tail,
    )
    mine = ours(kind, alpha, student, teacher, 1.0, support="student-top-k", top_k=k, tail=tail)
    values = mine.divergence_N.reshape(B, T)
    torch.testing.assert_close(values, theirs, atol=1e-5, rtol=1e-5)
    gradients = [torch.autograd.grad(loss.sum(), student)[0] for loss in (values, theirs)]
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-5)


def test_sampled_tokens_equal_trls() -> None:
    """Checklist 12: compute_sampled_token_self_distillation_loss."""
    student, teacher = logits(1).requires_grad_(), logits(2)
    ids = torch.randint(V, (B, T), generator=torch.Generator().manual_seed(5))
    theirs = compute_sampled_token_self_distillation_loss(
        student, teacher, ids, distillation_alpha=1.0
    )
    mine = ours("reverse_kl", 1.0, student, teacher, 1.0, ids, support="sampled-token")
    values = mine.divergence_N.reshape(B, T)
    torch.testing.assert_close(values, theirs, atol=1e-5, rtol=1e-5)
    gradients = [torch.autograd.grad(loss.sum(), student)[0] for loss in (values, theirs)]
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-5)


def test_the_importance_cap_equals_trls() -> None:
    """Checklist 12: apply_importance_sampling_clipping."""
    losses, now, before = logits(1)[..., 0], logits(2)[..., 0], logits(3)[..., 0] * 20
    theirs = apply_importance_sampling_clipping(losses, now, before, 2.0)
    torch.testing.assert_close(losses * importance(now, before, 2.0), theirs)
