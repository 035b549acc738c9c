"""The step's bench gives both engines the same rows, and counts what a step must compute."""

from __future__ import annotations

from pathlib import Path

import torch

from backend.training.packing import pack
from backend.training.prefill import tree_of_batch
from bench.engines import Work
from bench.limit import pairs_and_tokens, product_rate
from bench.step import demonstrations, system_prompt
from tests.tiny_model import build_model

BEGINNING = [*range(5, 20)]
PROMPTS = [[*BEGINNING, 30], [*BEGINNING, 31, 32], [*BEGINNING, 30]]


def test_rows_are_answered_as_often_as_asked() -> None:
    work = Work(demonstrations(3), new_tokens=4, per_prompt=2)
    assert [row.id for row in work.answered] == [row.id for row in work.rows for _ in range(2)]


def test_a_system_prompt_has_about_as_many_tokens_as_asked(tmp_path: Path) -> None:
    folder = build_model(tmp_path)
    assert system_prompt(folder, 0) == ""
    text = system_prompt(folder, 300)
    (row,) = demonstrations(1, text)
    assert [message.role for message in row.messages] == ["system", "user"]
    assert text not in {each.prompt for each in demonstrations(8)}


def test_tokens_and_pairs_are_those_of_the_tree() -> None:
    tree = tree_of_batch(pack(PROMPTS, [[0] * 4] * 3, 0, torch.device("cpu")))
    sees_LL = tree.mask_LL(torch.device("cpu"))
    assert pairs_and_tokens(PROMPTS, 4) == (int(sees_LL.sum()), len(sees_LL))
    # A beginning, two prompts' own tokens, and completions but for their last tokens.
    assert len(sees_LL) == 15 + (1 + 2) + 3 * 3


def test_the_machines_rate_is_measured() -> None:
    assert product_rate(64, 64) > 0.1
