"""Prints what the loss adds to this process's highest memory: of two chunks, once more, then of 32.

Alone in its process: in one that has done other things before, the allocator has room of theirs.
"""

from __future__ import annotations

import json

import torch
from torch import nn

from backend.config import DivergenceConfig
from backend.models.language_model import OutputHead
from backend.training.divergence import CHUNK_TOKENS, Temperatures, compare
from bench.memory import forget_peak, mib

VOCABULARY = 30_000


def main() -> None:
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

    before_mib = forget_peak()
    loss(2 * CHUNK_TOKENS)
    first_mib = mib("VmHWM") - before_mib
    before_mib = forget_peak()
    loss(2 * CHUNK_TOKENS)
    few_mib = mib("VmHWM") - before_mib
    loss(32 * CHUNK_TOKENS)
    many_mib = mib("VmHWM") - before_mib
    print(json.dumps({"first_mib": first_mib, "few_mib": few_mib, "many_mib": many_mib}))


if __name__ == "__main__":
    main()
