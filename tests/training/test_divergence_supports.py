"""Supports smaller than the vocabulary, the pointwise clip and the importance cap."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from backend.config import DivergenceConfig
from backend.training.divergence import Temperatures, compare, divergence, importance

KINDS = ("forward_kl", "reverse_kl", "jsd")
SUPPORTS = ("student-top-k", "teacher-top-k")
every_kind = pytest.mark.parametrize("kind", KINDS)
bounded = settings(max_examples=40, deadline=None, derandomize=True)


def logprobs(seed: int, rows: int = 12, columns: int = 17, scale: float = 3.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, columns, generator=generator, dtype=torch.float64) * scale
    return logits.log_softmax(-1)


def value(student: Tensor, teacher: Tensor, kind: str = "forward_kl", **support: Any) -> Tensor:
    ids = torch.zeros(len(student), dtype=torch.long)
    return divergence(student, teacher, ids, DivergenceConfig(kind=kind, **support))


@every_kind
@pytest.mark.parametrize("support", SUPPORTS)
@pytest.mark.parametrize("k", [1, 4, 16])
def test_a_tail_bucket_gives_at_most_the_full_value(kind: str, support: str, k: int) -> None:
    """Checklist 6: lumping tokens together cannot add to an f-divergence."""
    pair = logprobs(1), logprobs(2)
    part = value(*pair, kind, support=support, top_k=k)
    assert (part <= value(*pair, kind) + 1e-9).all()
    assert (part > -1e-6).all()


@every_kind
@pytest.mark.parametrize("support", SUPPORTS)
@pytest.mark.parametrize("tail", [True, False])
def test_as_many_tokens_as_there_are_give_the_full_value(
    kind: str, support: str, tail: bool
) -> None:
    """Checklist 6: k = V, and any k beyond it."""
    pair = logprobs(1), logprobs(2)
    for k in (17, 400):
        part = value(*pair, kind, support=support, top_k=k, tail=tail)
        torch.testing.assert_close(part, value(*pair, kind), atol=1e-5, rtol=1e-5)


def test_the_support_is_that_of_the_side_it_names() -> None:
    student = torch.tensor([[0.7, 0.2, 0.1]], dtype=torch.float64).log()
    teacher = torch.tensor([[0.1, 0.3, 0.6]], dtype=torch.float64).log()
    by_student = value(student, teacher, support="student-top-k", top_k=1)
    by_teacher = value(student, teacher, support="teacher-top-k", top_k=1)
    first = torch.tensor(0.1 / 0.7).log() * 0.1 + torch.tensor(0.9 / 0.3).log() * 0.9
    last = torch.tensor(0.6 / 0.1).log() * 0.6 + torch.tensor(0.4 / 0.9).log() * 0.4
    torch.testing.assert_close(by_student.float(), first[None])
    torch.testing.assert_close(by_teacher.float(), last[None])


def test_renormalised_without_a_tail_it_is_the_divergence_of_the_conditionals() -> None:
    """It may well exceed the full value, so nothing is asserted of that."""
    student, teacher = logprobs(1), logprobs(2)
    chosen = student.topk(5, -1).indices
    p, q = (side.gather(-1, chosen).exp() for side in (student, teacher))
    p, q = (side / side.sum(-1, keepdim=True) for side in (p, q))
    part = value(student, teacher, "reverse_kl", support="student-top-k", top_k=5, tail=False)
    torch.testing.assert_close(part, (p * (p / q).log()).sum(-1))


def test_sampled_tokens_give_reverse_kls_gradient_in_expectation() -> None:
    """Checklist 7: weighted by p_S over the vocabulary; the value is no KL."""
    teacher = logprobs(2, rows=1)
    logits = logprobs(1, rows=1).requires_grad_()
    columns = logits.shape[-1]
    student = logits.log_softmax(-1)
    ids = torch.arange(columns)
    config = DivergenceConfig(kind="reverse_kl", support="sampled-token")
    each = divergence(student.expand(columns, -1), teacher.expand(columns, -1), ids, config)
    expected = value(student, teacher, "reverse_kl").sum()
    surrogate = (each * student.exp().detach().squeeze(0)).sum()
    theirs, ours = (
        torch.autograd.grad(loss, logits, retain_graph=True)[0] for loss in (expected, surrogate)
    )
    torch.testing.assert_close(ours, theirs)
    assert float(surrogate.detach()) != pytest.approx(float(expected.detach()), rel=0.1)


def test_a_pointwise_clip_can_turn_against_the_teacher() -> None:
    """Checklist 8: the two figures, and the direction of the step."""
    teacher = torch.tensor([[0.9, 0.1]], dtype=torch.float64).log()
    logits = torch.tensor([[0.1, 0.9]], dtype=torch.float64).log().requires_grad_()
    plain = value(logits.log_softmax(-1), teacher)
    clipped = value(logits.log_softmax(-1), teacher, clip=0.05)
    assert float(plain.detach()) == pytest.approx(1.757780, abs=1e-6)
    assert float(clipped.detach()) == pytest.approx(-0.169722, abs=1e-6)
    towards, away = (torch.autograd.grad(loss.sum(), logits)[0] for loss in (plain, clipped))
    # A step down the gradient raises the first token's logit where it is negative.
    assert towards[0, 0] < 0 < away[0, 0]


def test_the_importance_of_a_token_is_capped() -> None:
    """Checklist 9: losses [1, 2], p [.4, .3], old [.1, .2], cap 2."""
    losses = torch.tensor([1.0, 2.0])
    now, before = torch.tensor([0.4, 0.3]).log().requires_grad_(), torch.tensor([0.1, 0.2]).log()
    weights = importance(now, before, cap=2.0)
    torch.testing.assert_close(losses * weights, torch.tensor([2.0, 3.0]))
    assert not weights.requires_grad


shapes = st.tuples(st.integers(1, 6), st.integers(2, 40))
seeds = st.integers(0, 2**31)
scales = st.floats(0.01, 30.0)


@bounded
@given(shapes, seeds, scales, st.sampled_from(KINDS), st.integers(1, 50), st.booleans(),
       st.sampled_from(("full", *SUPPORTS)), st.floats(0.05, 0.95))  # fmt: skip
def test_every_support_is_a_divergence_in_single_precision(
    shape: tuple[int, int],
    seed: int,
    scale: float,
    kind: str,
    k: int,
    tail: bool,
    support: str,
    share: float,
) -> None:
    """Checklist 10, over shapes, scales and supports: finite, and never below -1e-6."""
    student, teacher = (logprobs(seed + i, *shape, scale).float() for i in (0, 1))
    student.requires_grad_()
    part = value(student, teacher, kind, support=support, top_k=k, tail=tail, teacher_share=share)
    assert part.shape == (shape[0],)
    assert (part > -1e-6).all()
    (gradient,) = torch.autograd.grad(part.sum(), student)
    assert torch.isfinite(gradient).all()
    same = value(student.detach(), student.detach(), kind, support=support, top_k=k, tail=tail)
    assert same.abs().max() < 1e-6


@bounded
@given(st.integers(1, 9), seeds, st.floats(0.2, 3.0), st.floats(0.2, 3.0), st.integers(1, 10),
       st.sampled_from(SUPPORTS), st.booleans())  # fmt: skip
def test_chunks_and_temperatures_change_nothing_of_a_support(
    rows: int, seed: int, student_t: float, teacher_t: float, chunk: int, support: str, tail: bool
) -> None:
    """Checklist 10: a chunk's tokens know nothing of each other."""
    student, teacher = (logprobs(seed + i, rows).float() for i in (0, 1))
    ids = torch.zeros(rows, dtype=torch.long)
    config = DivergenceConfig(kind="reverse_kl", support=support, top_k=5, tail=tail)
    scaled = Temperatures(student_t, teacher_t)
    ours = compare(lambda hidden: hidden, student, teacher, ids, config, scaled, chunk)
    sides = (student.double() / student_t).log_softmax(-1), (teacher.double() / teacher_t)
    expected = divergence(sides[0], sides[1].log_softmax(-1), ids, config)
    torch.testing.assert_close(ours.divergence_N.double(), expected, atol=1e-5, rtol=1e-4)
