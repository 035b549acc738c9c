"""The loss's memory does not grow with the tokens beyond one chunk."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from backend.config import DivergenceConfig
from backend.models.language_model import OutputHead
from backend.training.divergence import CHUNK_TOKENS, Temperatures, compare
from bench.memory import forget_peak, mib

VOCABULARY = 30_000
CHUNK_MIB = CHUNK_TOKENS * VOCABULARY * 4 / 2**20


def test_many_chunks_take_the_memory_of_one() -> None:
    """By the kernel's own figure of this process, Linux alone has it.

    Once, small tensors that stayed between the logits of chunks cost 1.6 chunks of memory each.
    """
    if sys.platform != "linux":
        return
    head = OutputHead(nn.Linear(16, VOCABULARY, bias=False).requires_grad_(False), 1.0, None)
    hidden_NH, ids_N = torch.randn(32 * CHUNK_TOKENS, 16), torch.randint(VOCABULARY, (2048,))

    def loss(tokens: int) -> None:
        rows_NH = hidden_NH[:tokens].clone().requires_grad_()
        compared = compare(
            head, rows_NH, hidden_NH[:tokens] + 1, ids_N[:tokens],
            DivergenceConfig(kind="forward_kl"), Temperatures(),
        )  # fmt: skip
        compared.divergence_N.sum().backward()
        assert rows_NH.grad is not None

    loss(2 * CHUNK_TOKENS)
    before_mib = forget_peak()
    loss(2 * CHUNK_TOKENS)
    few_mib = mib("VmHWM") - before_mib
    loss(32 * CHUNK_TOKENS)
    assert mib("VmHWM") - before_mib - few_mib < 8 * CHUNK_MIB


@pytest.mark.parametrize("tokens", [1, CHUNK_TOKENS, CHUNK_TOKENS + 1])
def test_spans_of_a_chunk_more_or_less_give_the_same(tokens: int) -> None:
    head = OutputHead(nn.Linear(4, 30, bias=False).requires_grad_(False), 1.0, None)
    student_NH, teacher_NH = torch.randn(tokens, 4), torch.randn(tokens, 4)
    ids_N = torch.randint(30, (tokens,))
    found = []
    for chunk_tokens in (CHUNK_TOKENS, 7):
        rows_NH = student_NH.clone().requires_grad_()
        compared = compare(
            head, rows_NH, teacher_NH, ids_N, DivergenceConfig(kind="jsd"), Temperatures(),
            chunk_tokens,
        )  # fmt: skip
        compared.divergence_N.square().sum().backward()
        found.append((compared.divergence_N.detach(), rows_NH.grad))
    torch.testing.assert_close(found[0], found[1])
