"""How far the student's next-token distribution is from its target, token by token.

The loss of every method: ``sum_t w_t * D(target_t || student_t)``; this file holds D. All
arithmetic is in fp32, and a chunk of tokens at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import torch
from torch import Tensor
from torch.nn.functional import log_softmax
from torch.utils.checkpoint import checkpoint

from backend.config import DivergenceConfig

# Tokens whose logits exist at once: 64 x 49,152 x 4 bytes = 12 MiB a side.
CHUNK_TOKENS: Final = 64


class Divergence(Protocol):
    """Terms whose sum over the support is one value a token; see DIVERGENCES."""

    def __call__(
        self,
        student_logprobs_NK: Tensor,
        teacher_logprobs_NK: Tensor | None,
        token_ids_N: Tensor,
        teacher_share: float,
    ) -> Tensor:
        """Terms [N, K] in nats; differentiable in the student's log-probabilities."""


def nll(
    student_logprobs_NK: Tensor,
    teacher_logprobs_NK: Tensor | None,
    token_ids_N: Tensor,
    teacher_share: float,
) -> Tensor:
    """-log p_S(y): forward KL from a teacher that is certain of the token."""
    return -student_logprobs_NK.gather(-1, token_ids_N[:, None])


def forward_kl(
    student_logprobs_NK: Tensor,
    teacher_logprobs_NK: Tensor | None,
    token_ids_N: Tensor,
    teacher_share: float,
) -> Tensor:
    """KL(teacher || student); gradient in the student's logits: p_S - p_T."""
    return _kl(_given(teacher_logprobs_NK), student_logprobs_NK)


def reverse_kl(
    student_logprobs_NK: Tensor,
    teacher_logprobs_NK: Tensor | None,
    token_ids_N: Tensor,
    teacher_share: float,
) -> Tensor:
    """KL(student || teacher); gradient: p_S * (log(p_S / p_T) - KL)."""
    return _kl(student_logprobs_NK, _given(teacher_logprobs_NK))


def jsd(
    student_logprobs_NK: Tensor,
    teacher_logprobs_NK: Tensor | None,
    token_ids_N: Tensor,
    teacher_share: float,
) -> Tensor:
    """(1-a) KL(p_S || m) + a KL(p_T || m) with m = (1-a) p_S + a p_T and a the teacher's share."""
    teacher = _given(teacher_logprobs_NK)
    mixture = torch.logaddexp(
        student_logprobs_NK + math.log1p(-teacher_share), teacher + math.log(teacher_share)
    )
    return (1 - teacher_share) * _kl(student_logprobs_NK, mixture) + teacher_share * _kl(
        teacher, mixture
    )


DIVERGENCES: Final[Mapping[str, Divergence]] = {
    "nll": nll,
    "forward_kl": forward_kl,
    "reverse_kl": reverse_kl,
    "jsd": jsd,
}


def divergence(
    student_logprobs_NV: Tensor,
    teacher_logprobs_NV: Tensor | None,
    token_ids_N: Tensor,
    config: DivergenceConfig,
) -> Tensor:
    """The divergence [N] of each token on the configured support, its terms clipped if asked."""
    student, teacher = student_logprobs_NV, teacher_logprobs_NV
    if config.support == "sampled-token":
        return _sampled_token(student, _given(teacher), token_ids_N)
    if config.support != "full":
        student, teacher = _top(student, _given(teacher), config)
    terms_NK = DIVERGENCES[config.kind](student, teacher, token_ids_N, config.teacher_share)
    return (terms_NK if config.clip is None else terms_NK.clamp(max=config.clip)).sum(-1)


def _top(student_NV: Tensor, teacher_NV: Tensor, config: DivergenceConfig) -> tuple[Tensor, Tensor]:
    """Both sides on the likeliest tokens of one of them: with the rest as one more token, or
    renormalised without it."""
    chooser_NV = student_NV if config.support == "student-top-k" else teacher_NV
    chosen_NK = chooser_NV.detach().topk(min(config.top_k, chooser_NV.shape[-1]), -1).indices
    shorten = _with_tail if config.tail else partial(log_softmax, dim=-1)
    return shorten(student_NV.gather(-1, chosen_NK)), shorten(teacher_NV.gather(-1, chosen_NK))


def _with_tail(logprobs_NK: Tensor) -> Tensor:
    """[N, K + 1]: what the K tokens leave of the mass, at the end. fp32 knows no less than 1e-7."""
    mass_N1 = logprobs_NK.logsumexp(-1, keepdim=True).clamp(max=-1e-7)
    return torch.cat([logprobs_NK, (-mass_N1.expm1()).log()], -1)


def _sampled_token(student_NV: Tensor, teacher_NV: Tensor, token_ids_N: Tensor) -> Tensor:
    """log(p_S(y) / p_T(y)), held fast, times log p_S(y): reverse KL's gradient in expectation.

    Only where the student sampled y at temperature 1; the value is no KL.
    """
    student_N, teacher_N = (_of_tokens(side, token_ids_N) for side in (student_NV, teacher_NV))
    return (student_N - teacher_N).detach() * student_N


def importance(logprob_N: Tensor, sampled_logprob_N: Tensor, cap: float) -> Tensor:
    """p_S(y) / p_sampler(y) [N], at most ``cap`` and without gradient (SDPO, arXiv 2601.20802)."""
    return (logprob_N - sampled_logprob_N).detach().clamp(-20.0, 20.0).exp().clamp(max=cap)


def _kl(of_NK: Tensor, from_NK: Tensor) -> Tensor:
    return of_NK.exp() * (of_NK - from_NK)


def _of_tokens(logprobs_NV: Tensor, token_ids_N: Tensor) -> Tensor:
    return logprobs_NV.gather(-1, token_ids_N[:, None]).squeeze(-1)


def _given(teacher_logprobs: Tensor | None) -> Tensor:
    if teacher_logprobs is None:
        raise ValueError("this divergence compares with a teacher, and none was given")
    return teacher_logprobs


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

    Gradients of hidden states are found with their divergences. A head that trains (it says so by
    ``is_trained``) needs its own as well: then each chunk is computed again in the backward pass.
    """

    def chunk(student_NH: Tensor, teacher_NH: Tensor | None, ids_N: Tensor) -> tuple[Tensor, ...]:
        student = log_softmax(head(student_NH) / temperatures.student, -1)
        teacher = None
        if teacher_NH is not None:
            with torch.no_grad():
                teacher = log_softmax(head(teacher_NH) / temperatures.teacher, -1)
        divergence_N = divergence(student, teacher, ids_N, config)
        with torch.no_grad():
            entropy_N = -(student.exp() * student).sum(-1)
            logprob_N = _of_tokens(student, ids_N)
        return divergence_N, entropy_N, logprob_N

    inputs = (student_hidden_NH, teacher_hidden_NH, token_ids_N)
    if not getattr(head, "is_trained", False):
        return Compared(
            *_RowGradients.apply(chunk, chunk_tokens, *inputs)  # type: ignore[no-untyped-call]
        )
    parts = [
        checkpoint(chunk, *(None if each is None else each[span] for each in inputs),
                   use_reentrant=False)
        for span in _spans(len(token_ids_N), chunk_tokens)
    ]  # fmt: skip
    if not parts:
        empty = student_hidden_NH.sum() * 0.0 + torch.zeros(0, device=student_hidden_NH.device)
        return Compared(empty, empty.detach(), empty.detach())
    return Compared(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _spans(tokens: int, chunk_tokens: int) -> Iterator[slice]:
    for start in range(0, tokens, chunk_tokens):
        yield slice(start, start + chunk_tokens)


class _RowGradients(torch.autograd.Function):
    """Divergences, with each one's gradient in its own hidden state, found at once.

    A token's divergence depends on no other token's hidden state: the gradient of their sum holds
    that of each as a row, which the backward pass has only to scale. Logits are gone by then.
    (What stays is allocated before the first logits: between these it would keep the allocator
    from using their memory again, some 20 MiB a chunk.)
    """

    @staticmethod
    def forward(
        ctx: Any,
        chunk: Callable[..., tuple[Tensor, ...]],
        chunk_tokens: int,
        student_NH: Tensor,
        teacher_NH: Tensor | None,
        ids_N: Tensor,
    ) -> tuple[Tensor, ...]:
        asks = ctx.needs_input_grad[2]
        found = tuple(student_NH.new_empty(len(ids_N), dtype=torch.float32) for _ in range(3))
        gradient_NH = torch.empty_like(student_NH) if asks else None
        for span in _spans(len(ids_N), chunk_tokens):
            teacher = None if teacher_NH is None else teacher_NH[span]
            with torch.set_grad_enabled(asks):
                rows_NH = student_NH[span].detach().requires_grad_(asks)
                values = chunk(rows_NH, teacher, ids_N[span])
                if gradient_NH is not None:
                    (gradient_NH[span],) = torch.autograd.grad(values[0].sum(), rows_NH)
            for whole, part in zip(found, values, strict=True):
                whole[span] = part.detach()
        if gradient_NH is not None:
            ctx.save_for_backward(gradient_NH)
        ctx.mark_non_differentiable(*found[1:])
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (rows_NH,) = ctx.saved_tensors
        return None, None, gradients[0][:, None] * rows_NH, None, None


@torch.no_grad()
def token_logprobs(
    head: Callable[[Tensor], Tensor],
    hidden_NH: Tensor,
    token_ids_N: Tensor,
    temperature: float = 1.0,
    chunk_tokens: int = CHUNK_TOKENS,
) -> Tensor:
    """log p(y) [N] of the given tokens, in fp32."""
    found_N = hidden_NH.new_empty(len(token_ids_N), dtype=torch.float32)
    for span in _spans(len(token_ids_N), chunk_tokens):
        logprobs_NV = log_softmax(head(hidden_NH[span]) / temperature, -1)
        found_N[span] = _of_tokens(logprobs_NV, token_ids_N[span])
    return found_N


@torch.no_grad()
def token_kls(
    head: Callable[[Tensor], Tensor],
    of_NH: Tensor,
    from_NH: Tensor,
    chunk_tokens: int = CHUNK_TOKENS,
) -> Tensor:
    """KL(of || from) [N] in nats between two sets of weights on the same tokens."""
    found_N = of_NH.new_empty(len(of_NH), dtype=torch.float32)
    for span in _spans(len(of_NH), chunk_tokens):
        of, origin = (log_softmax(head(side[span]), -1) for side in (of_NH, from_NH))
        found_N[span] = _kl(of, origin).sum(-1)
    return found_N
