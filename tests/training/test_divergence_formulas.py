"""Divergences against closed forms and known identities."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from backend.training.divergence import DIVERGENCES, token_logprobs

ROW = torch.zeros(1, dtype=torch.long)


def log_of(*probabilities: float) -> Tensor:
    return torch.tensor([probabilities], dtype=torch.float64).log()


def value(kind: str, student: Tensor, teacher: Tensor, share: float = 0.5) -> float:
    ids = torch.zeros(len(student), dtype=torch.long)
    return float(DIVERGENCES[kind](student, teacher, ids, share).sum())


def with_gradient(
    kind: str, student_logits: Tensor, teacher: Tensor, ids: Tensor = ROW
) -> tuple[float, Tensor]:
    logits = student_logits.clone().requires_grad_()
    divergence = DIVERGENCES[kind](logits.log_softmax(-1), teacher, ids, 0.5).sum()
    (gradient,) = torch.autograd.grad(divergence, logits)
    return float(divergence.detach()), gradient


def random_logprobs(seed: int, rows: int = 40, columns: int = 11, scale: float = 4.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, columns, generator=generator, dtype=torch.float64) * scale
    return logits.log_softmax(-1)


def test_forward_kl_of_two_coins() -> None:
    """Checklist 1: the value, and p_S - p_T as the gradient."""
    student, teacher = log_of(0.8, 0.2), log_of(0.5, 0.5)
    divergence, gradient = with_gradient("forward_kl", student, teacher)
    assert divergence == pytest.approx(0.22314, abs=5e-6)
    assert divergence == pytest.approx(0.5 * math.log(0.5 / 0.8) + 0.5 * math.log(0.5 / 0.2))
    torch.testing.assert_close(gradient, student.exp() - teacher.exp())


def test_forward_kls_gradient_is_the_difference_of_probabilities() -> None:
    """Checklist 1, on random distributions."""
    student, teacher = random_logprobs(1), random_logprobs(2)
    _, gradient = with_gradient("forward_kl", student, teacher)
    torch.testing.assert_close(gradient, student.exp() - teacher.exp())


def test_reverse_kls_gradient() -> None:
    """Checklist 2: p_S * (log(p_S / p_T) - KL)."""
    student, teacher = random_logprobs(1), random_logprobs(2)
    _, gradient = with_gradient("reverse_kl", student, teacher)
    ratio = student - teacher
    kl = (student.exp() * ratio).sum(-1, keepdim=True)
    torch.testing.assert_close(gradient, student.exp() * (ratio - kl))
    assert value("reverse_kl", student, teacher) == pytest.approx(float(kl.sum()))


def test_reverse_is_forward_with_the_roles_swapped() -> None:
    student, teacher = random_logprobs(1), random_logprobs(2)
    assert value("forward_kl", student, teacher) == value("reverse_kl", teacher, student)
    assert value("forward_kl", student, teacher) != value("reverse_kl", student, teacher)


@pytest.mark.parametrize("scale", [0.1, 3.0, 60.0])
def test_jsd_is_at_most_ln_2(scale: float) -> None:
    """Checklist 3."""
    ids = torch.zeros(40, dtype=torch.long)
    pair = random_logprobs(1, scale=scale), random_logprobs(2, scale=scale)
    values = DIVERGENCES["jsd"](*pair, ids, 0.5).sum(-1)
    assert values.max() <= math.log(2) + 1e-9
    assert values.min() >= -1e-12
    far = log_of(1 - 1e-12, 1e-12), log_of(1e-12, 1 - 1e-12)
    assert value("jsd", *far) == pytest.approx(math.log(2), abs=1e-9)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.85])
def test_jsd_is_symmetric_under_swapping_models_and_shares(share: float) -> None:
    """Checklist 3."""
    student, teacher = random_logprobs(1), random_logprobs(2)
    swapped = value("jsd", teacher, student, 1 - share)
    assert value("jsd", student, teacher, share) == pytest.approx(swapped, rel=1e-12)


def test_jsd_tends_to_zero_at_both_ends_so_it_is_no_knob_between_the_kls() -> None:
    student, teacher = random_logprobs(1), random_logprobs(2)
    ends = [value("jsd", student, teacher, share) for share in (1e-9, 1 - 1e-9)]
    assert max(ends) < 1e-5
    assert value("jsd", student, teacher, 0.5) > 1


def test_forward_kl_to_a_certain_teacher_is_nll() -> None:
    """Checklist 11, second half: in value and gradient."""
    student = random_logprobs(1)
    ids = torch.arange(len(student)) % student.shape[-1]
    certain = torch.full_like(student, -1e4)
    certain[torch.arange(len(ids)), ids] = 0.0
    assert value("forward_kl", student, certain) == pytest.approx(
        float(DIVERGENCES["nll"](student, None, ids, 0.5).sum())
    )
    kl_gradient = with_gradient("forward_kl", student, certain)[1]
    torch.testing.assert_close(kl_gradient, with_gradient("nll", student, certain, ids)[1])


def test_log_probabilities_of_given_tokens_need_no_dense_table() -> None:
    logits = random_logprobs(1, rows=50).float()
    ids = torch.arange(50) % 11
    chunked = token_logprobs(lambda hidden: hidden, logits, ids, temperature=0.7, chunk_tokens=8)
    expected = torch.distributions.Categorical(logits=logits.double() / 0.7).log_prob(ids)
    torch.testing.assert_close(chunked.double(), expected, atol=1e-6, rtol=1e-6)
    assert token_logprobs(lambda hidden: hidden, logits[:0], ids[:0]).shape == (0,)
