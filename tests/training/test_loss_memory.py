"""The loss's memory does not grow with the tokens beyond one chunk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from backend.config import DivergenceConfig
from backend.jobs.launchers import worker_environment
from backend.models.language_model import OutputHead
from backend.settings import Settings
from backend.training.divergence import CHUNK_TOKENS, Temperatures, compare
from tests.training.loss_memory import VOCABULARY

CHUNK_MIB = CHUNK_TOKENS * VOCABULARY * 4 / 2**20


def test_many_chunks_take_the_memory_of_one(tmp_path: Path) -> None:
    """By the kernel's own figure of a process of its own, Linux alone has it; the least of three.

    Where the allocator finds room varies, and only ever adds. Once, small tensors that stayed
    between the logits of chunks cost 1.6 chunks of memory each.
    """
    if sys.platform != "linux":
        return
    environment = worker_environment(Settings(home=tmp_path), os.environ)
    command = [sys.executable, "-m", "tests.training.loss_memory"]
    added = []
    for _ in range(3):
        done = subprocess.run(
            command, env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
        found = json.loads(done.stdout)
        assert found["first_mib"] > CHUNK_MIB
        added.append(found["many_mib"] - found["few_mib"])
    assert min(added) < 8 * CHUNK_MIB


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
