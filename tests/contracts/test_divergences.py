"""What every divergence keeps to: dense autograd in float64 is the oracle."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import Linear

from backend.config import DivergenceConfig
from backend.models.language_model import OutputHead
from backend.training.divergence import DIVERGENCES, Compared, Temperatures, compare

V, N = 23, 7
SHARE = 0.3
COMPARING = [kind for kind in DIVERGENCES if kind != "nll"]
every_divergence = pytest.mark.parametrize("kind", DIVERGENCES)
every_comparison = pytest.mark.parametrize("kind", COMPARING)


def as_logits(hidden_NV: Tensor) -> Tensor:
    """A head for tests whose hidden states are the logits."""
    return hidden_NV


def random_logits(seed: int, rows: int = N, columns: int = V, scale: float = 3.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, columns, generator=generator) * scale


def tokens(rows: int = N, columns: int = V) -> Tensor:
    return torch.randint(columns, (rows,), generator=torch.Generator().manual_seed(9))


def run(
    kind: str,
    student_NV: Tensor,
    teacher_NV: Tensor | None,
    ids_N: Tensor,
    *,
    head: Callable[[Tensor], Tensor] = as_logits,
    temperatures: Temperatures | None = None,
    chunk_tokens: int = 64,
) -> Compared:
    config = DivergenceConfig(kind=kind, teacher_share=SHARE)
    return compare(
        head, student_NV, teacher_NV, ids_N, config, temperatures or Temperatures(), chunk_tokens
    )


def dense(kind: str, student_NV: Tensor, teacher_NV: Tensor, ids_N: Tensor) -> Tensor:
    """The definitions, from probabilities, in float64."""
    p_S, p_T = student_NV.double().softmax(-1), teacher_NV.double().softmax(-1)
    m = (1 - SHARE) * p_S + SHARE * p_T
    return {
        "nll": -p_S[torch.arange(len(ids_N)), ids_N].log(),
        "forward_kl": (p_T * (p_T / p_S).log()).sum(-1),
        "reverse_kl": (p_S * (p_S / p_T).log()).sum(-1),
        "jsd": (1 - SHARE) * (p_S * (p_S / m).log()).sum(-1)
        + SHARE * (p_T * (p_T / m).log()).sum(-1),
    }[kind]


def gradient_of(values_N: Tensor, student_NV: Tensor, weights_N: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad((values_N * weights_N).sum(), student_NV)
    return gradient


@every_divergence
@pytest.mark.parametrize("chunk_tokens", [1, 3, 64])
def test_chunks_equal_the_dense_definition_in_value_and_gradient(
    kind: str, chunk_tokens: int
) -> None:
    """Checklist 10."""
    student, teacher, ids = random_logits(1).requires_grad_(), random_logits(2), tokens()
    weights = torch.linspace(0.0, 1.0, N)
    ours = run(kind, student, teacher, ids, chunk_tokens=chunk_tokens).divergence_N
    oracle = student.detach().double().requires_grad_()
    expected = dense(kind, oracle, teacher, ids)
    torch.testing.assert_close(ours.double(), expected, atol=2e-6, rtol=1e-6)
    torch.testing.assert_close(
        gradient_of(ours, student, weights).double(),
        gradient_of(expected, oracle, weights.double()),
        atol=2e-6,
        rtol=1e-5,
    )


@every_divergence
def test_temperatures_divide_the_logits(kind: str) -> None:
    student, teacher, ids = random_logits(1), random_logits(2), tokens()
    ours = run(kind, student, teacher, ids, temperatures=Temperatures(1.6, 0.7)).divergence_N
    expected = dense(kind, student / 1.6, teacher / 0.7, ids)
    torch.testing.assert_close(ours.double(), expected, atol=2e-6, rtol=1e-5)


@every_comparison
def test_equal_logits_give_neither_loss_nor_gradient(kind: str) -> None:
    """Checklist 4."""
    student, ids = random_logits(1).requires_grad_(), tokens()
    ours = run(kind, student, student.detach(), ids).divergence_N
    assert ours.abs().max() < 1e-6
    assert gradient_of(ours, student, torch.ones(N)).abs().max() < 1e-6


@every_divergence
def test_a_constant_added_to_the_logits_changes_nothing(kind: str) -> None:
    """Checklist 5."""
    student, teacher, ids = random_logits(1), random_logits(2), tokens()
    values = [
        run(kind, student + a, teacher + b, ids).divergence_N
        for a, b in ((0.0, 0.0), (50.0, 0.0), (0.0, -50.0), (-20.0, 30.0))
    ]
    for value in values[1:]:
        torch.testing.assert_close(value, values[0], atol=3e-5, rtol=1e-4)


@every_divergence
def test_no_gradient_reaches_the_teachers_logits(kind: str) -> None:
    """Checklist 22."""
    student, teacher = random_logits(1).requires_grad_(), random_logits(2).requires_grad_()
    run(kind, student, teacher, tokens()).divergence_N.sum().backward()
    assert student.grad is not None
    assert teacher.grad is None


@every_divergence
def test_half_precision_heads_are_compared_in_fp32_and_never_below_zero(kind: str) -> None:
    """Checklist 10: a large vocabulary, bf16 logits, and a teacher that hardly differs."""
    torch.manual_seed(0)
    layer = Linear(16, 20_000, bias=False, dtype=torch.bfloat16)
    head = OutputHead(layer, 1.0, None)
    student = torch.randn(12, 16).bfloat16()
    teacher = student + torch.randn(12, 16).bfloat16() * 0.01
    ids = tokens(12, 20_000)
    with torch.no_grad():
        ours = run(kind, student, teacher, ids, head=head, chunk_tokens=5).divergence_N
        expected = dense(kind, layer(student), layer(teacher), ids)
    assert ours.dtype == torch.float32
    assert ours.min() > -1e-6
    torch.testing.assert_close(ours.double(), expected, atol=2e-6, rtol=1e-5)


@every_divergence
def test_masked_logits_change_neither_loss_nor_gradient(kind: str) -> None:
    """Checklist 14: a weight of 0 leaves nothing of a token, whatever stands there."""
    mask = torch.tensor([1.0] * 4 + [0.0] * (N - 4))
    losses, gradients = [], []
    for seed, scale in ((1, 3.0), (5, 1e4)):
        student, teacher = random_logits(1), random_logits(2)
        student[4:] = random_logits(seed, N - 4, scale=scale)
        teacher[4:] = random_logits(seed + 1, N - 4, scale=scale)
        values = run(kind, student.requires_grad_(), teacher, tokens(), chunk_tokens=3).divergence_N
        losses.append(float((values * mask).sum().detach()))
        gradients.append(gradient_of(values, student, mask))
    assert losses[0] == losses[1]
    assert torch.equal(*gradients)
    assert not gradients[0][4:].any()


@every_divergence
def test_extreme_logits_stay_finite(kind: str) -> None:
    student, teacher = random_logits(1) * 1000, random_logits(2) * 1000
    student.requires_grad_()
    ours = run(kind, student, teacher, tokens()).divergence_N
    assert torch.isfinite(ours).all()
    assert torch.isfinite(gradient_of(ours, student, torch.ones(N))).all()


@every_divergence
def test_entropy_and_log_probability_come_with_it(kind: str) -> None:
    student, ids = random_logits(1), tokens()
    compared = run(kind, student, random_logits(2), ids, chunk_tokens=2)
    oracle = torch.distributions.Categorical(logits=student.double())
    torch.testing.assert_close(compared.entropy_N.double(), oracle.entropy(), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(
        compared.logprob_N.double(), oracle.log_prob(ids), atol=1e-6, rtol=1e-5
    )


@every_divergence
def test_no_tokens_give_no_values_and_a_gradient_of_zero(kind: str) -> None:
    student = torch.zeros(0, V, requires_grad=True)
    compared = run(kind, student, torch.zeros(0, V), torch.zeros(0, dtype=torch.long))
    assert compared.divergence_N.shape == (0,)
    compared.divergence_N.sum().backward()
    assert student.grad is not None


@every_comparison
def test_a_comparison_without_a_teacher_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="compares with a teacher"):
        run(kind, random_logits(1), None, tokens())


def test_the_share_changes_nothing_but_the_jsd() -> None:
    student, teacher = random_logits(1).log_softmax(-1), random_logits(2).log_softmax(-1)
    for kind, divergence in DIVERGENCES.items():
        low, high = (divergence(student, teacher, tokens(), share) for share in (0.1, 0.9))
        assert torch.equal(low, high) == (kind != "jsd")
