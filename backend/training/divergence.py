"""How far the student's next-token distribution is from its target, token by token.

The loss of every method: ``sum_t w_t * D(target_t || student_t)``; this file holds D. All
arithmetic is in fp32, over the full vocabulary, and a chunk of tokens at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import torch
from torch import Tensor
from torch.nn.functional import log_softmax
from torch.utils.checkpoint import checkpoint

from backend.config import DivergenceConfig

# Tokens whose logits exist at once: 64 x 49,152 x 4 bytes = 12 MiB a side.
CHUNK_TOKENS: Final = 64


class Divergence(Protocol):
    """One value a token; see DIVERGENCES."""

    def __call__(
        self,
        student_logprobs_NV: Tensor,
        teacher_logprobs_NV: Tensor | None,
        token_ids_N: Tensor,
        teacher_share: float,
    ) -> Tensor:
        """Divergences [N] in nats; differentiable in the student's log-probabilities."""


def nll(
    student_logprobs_NV: Tensor,
    teacher_logprobs_NV: Tensor | None,
    token_ids_N: Tensor,
    teacher_share: float,
) -> Tensor:
    """-log p_S(y): forward KL from a teacher that is certain of the token."""
    return -student_logprobs_NV.gather(-1, token_ids_N[:, None]).squeeze(-1)


def forward_kl(
    student_logprobs_NV: Tensor,
    teacher_logprobs_NV: Tensor | None,
    token_ids_N: Tensor,
    teacher_share: float,
) -> Tensor:
    """KL(teacher || student); gradient in the student's logits: p_S - p_T."""
    return _kl(_given(teacher_logprobs_NV), student_logprobs_NV)


def reverse_kl(
    student_logprobs_NV: Tensor,
    teacher_logprobs_NV: Tensor | None,
    token_ids_N: Tensor,
    teacher_share: float,
) -> Tensor:
    """KL(student || teacher); gradient: p_S * (log(p_S / p_T) - KL)."""
    return _kl(student_logprobs_NV, _given(teacher_logprobs_NV))


def jsd(
    student_logprobs_NV: Tensor,
    teacher_logprobs_NV: Tensor | None,
    token_ids_N: Tensor,
    teacher_share: float,
) -> Tensor:
    """(1-a) KL(p_S || m) + a KL(p_T || m) with m = (1-a) p_S + a p_T and a the teacher's share."""
    teacher = _given(teacher_logprobs_NV)
    mixture = torch.logaddexp(
        student_logprobs_NV + math.log1p(-teacher_share), teacher + math.log(teacher_share)
    )
    return (1 - teacher_share) * _kl(student_logprobs_NV, mixture) + teacher_share * _kl(
        teacher, mixture
    )


DIVERGENCES: Final[Mapping[str, Divergence]] = {
    "nll": nll,
    "forward_kl": forward_kl,
    "reverse_kl": reverse_kl,
    "jsd": jsd,
}


def _kl(of_NV: Tensor, from_NV: Tensor) -> Tensor:
    return (of_NV.exp() * (of_NV - from_NV)).sum(-1)


def _given(teacher_logprobs_NV: Tensor | None) -> Tensor:
    if teacher_logprobs_NV is None:
        raise ValueError("this divergence compares with a teacher, and none was given")
    return teacher_logprobs_NV


@dataclass(frozen=True)
class Temperatures:
    """What logits are divided by before they are compared: 1 and 1 for nll."""

    student: float = 1.0
    teacher: float = 1.0


@dataclass(frozen=True)
class Compared:
    """Per token: the divergence (with gradient), the student's entropy and log-probability."""

    divergence_N: Tensor
    entropy_N: Tensor
    logprob_N: Tensor


def compare(
    head: Callable[[Tensor], Tensor],
    student_hidden_NH: Tensor,
    teacher_hidden_NH: Tensor | None,
    token_ids_N: Tensor,
    config: DivergenceConfig,
    temperatures: Temperatures,
    chunk_tokens: int = CHUNK_TOKENS,
) -> Compared:
    """Divergences of N completion tokens from hidden states; logits exist a chunk at a time.

    Each chunk's logits are recomputed in the backward pass, so memory is flat in N beyond a chunk.
    """
    parts: list[tuple[Tensor, Tensor, Tensor]] = []

    def chunk(student_NH: Tensor, teacher_NH: Tensor | None, ids_N: Tensor) -> tuple[Tensor, ...]:
        student = log_softmax(head(student_NH) / temperatures.student, -1)
        teacher = None
        if teacher_NH is not None:
            with torch.no_grad():
                teacher = log_softmax(head(teacher_NH) / temperatures.teacher, -1)
        divergence_N = DIVERGENCES[config.kind](student, teacher, ids_N, config.teacher_share)
        with torch.no_grad():
            entropy_N = -(student.exp() * student).sum(-1)
            logprob_N = student.gather(-1, ids_N[:, None]).squeeze(-1)
        return divergence_N, entropy_N, logprob_N

    for start in range(0, len(token_ids_N), chunk_tokens):
        span = slice(start, start + chunk_tokens)
        teacher_NH = None if teacher_hidden_NH is None else teacher_hidden_NH[span]
        parts.append(
            checkpoint(
                chunk, student_hidden_NH[span], teacher_NH, token_ids_N[span], use_reentrant=False
            )
        )
    if not parts:
        empty = student_hidden_NH.sum() * 0.0 + torch.zeros(0, device=student_hidden_NH.device)
        return Compared(empty, empty.detach(), empty.detach())
    divergence, entropy, logprob = (torch.cat(column) for column in zip(*parts, strict=True))
    return Compared(divergence, entropy, logprob)


@torch.no_grad()
def token_logprobs(
    head: Callable[[Tensor], Tensor],
    hidden_NH: Tensor,
    token_ids_N: Tensor,
    temperature: float = 1.0,
    chunk_tokens: int = CHUNK_TOKENS,
) -> Tensor:
    """log p(y) [N] of the given tokens, in fp32."""
    parts = [
        log_softmax(head(hidden_NH[s : s + chunk_tokens]) / temperature, -1)
        .gather(-1, token_ids_N[s : s + chunk_tokens, None])
        .squeeze(-1)
        for s in range(0, len(token_ids_N), chunk_tokens)
    ]
    return torch.cat(parts) if parts else torch.zeros(0, device=hidden_NH.device)


@torch.no_grad()
def token_kls(
    head: Callable[[Tensor], Tensor],
    of_NH: Tensor,
    from_NH: Tensor,
    chunk_tokens: int = CHUNK_TOKENS,
) -> Tensor:
    """KL(of || from) [N] in nats between two sets of weights on the same tokens."""
    parts = []
    for start in range(0, len(of_NH), chunk_tokens):
        span = slice(start, start + chunk_tokens)
        parts.append(_kl(log_softmax(head(of_NH[span]), -1), log_softmax(head(from_NH[span]), -1)))
    return torch.cat(parts) if parts else torch.zeros(0, device=of_NH.device)
