"""Prompts and what is offered after them are read as plain passes read them, each token once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from backend.models.language_model import LanguageModel
from backend.training.openings import open_rows
from backend.training.prefill import prefill, read_on
from tests.tiny_model import build_model, load_tiny

BEGINNING = [5, 9, 11, 6, 14, 7, 21, 30, 8, 17]
PROMPTS = [[*BEGINNING, 4], [*BEGINNING, 12, 13, 22, 40], [*BEGINNING, 12, 6], [*BEGINNING, 4]]
OFFERS: list[list[int]] = [[41, 42], [], [43, 44, 45], [46]]
NEXT = [50, 51, 52, 53]


def plain(model: LanguageModel, ids: list[int], last: int) -> Tensor:
    """Hidden states of the last tokens, by a pass of their own."""
    found: Tensor = model.backbone(input_ids=torch.tensor([ids])).last_hidden_state[0, -last:]
    return found


@torch.no_grad()
@pytest.mark.parametrize("longest", [512, 0])
@pytest.mark.parametrize("read", [open_rows, prefill])
@pytest.mark.parametrize("family", ["llama", "gpt2", "cohere"])
def test_rows_are_read_as_plain_passes_read_them(
    family: str, read: object, longest: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the tokens that are read after them, of which each row sees its own only."""
    monkeypatch.setattr("backend.training.openings.LONGEST", longest)
    model = load_tiny(build_model(tmp_path, family=family))
    found = read(model, PROMPTS, OFFERS)  # type: ignore[operator]
    rows = zip(PROMPTS, OFFERS, strict=True)
    expected = torch.cat([plain(model, [*p, *o], 1 + len(o)) for p, o in rows])
    torch.testing.assert_close(found.hidden_NH, expected, atol=2e-5, rtol=2e-5)
    mask_BP = torch.cat([found.mask_BP, found.mask_BP.new_ones(4, 1)], 1)
    positions_B1 = found.next_positions_B1
    after = read_on(model, torch.tensor(NEXT)[:, None], mask_BP, positions_B1, found.cache)
    for row, token in enumerate(NEXT):
        whole = plain(model, [*PROMPTS[row], *OFFERS[row], token], 1)
        torch.testing.assert_close(after[row], whole, atol=2e-5, rtol=2e-5)


@torch.no_grad()
@pytest.mark.parametrize(
    ("longest", "expected"),
    [
        # The beginning, three prompts' own tokens (one prompt has two rows), the offered ones.
        (512, [(1, 10 + 1 + 4 + 2 + 6)]),
        # Too long for one sequence: the beginning, then the rows with their padding.
        (20, [(1, 10), (4, 4 + 3)]),
    ],
)
def test_each_token_is_read_once(
    longest: int,
    expected: list[tuple[int, int]],
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("backend.training.openings.LONGEST", longest)
    model, seen = load_tiny(tiny_folder), []
    model.network.base_model.register_forward_pre_hook(
        lambda _, __, given: seen.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    open_rows(model, PROMPTS, OFFERS)
    assert seen == expected


@torch.no_grad()
@pytest.mark.parametrize("prompts", [PROMPTS, PROMPTS[:1]])
def test_a_window_that_slides_sees_no_padding(prompts: list[list[int]], tmp_path: Path) -> None:
    model = load_tiny(build_model(tmp_path, family="gemma2"))
    found = open_rows(model, prompts, [[] for _ in prompts])
    expected = torch.cat([plain(model, prompt, 1) for prompt in prompts])
    torch.testing.assert_close(found.hidden_NH, expected, atol=2e-5, rtol=2e-5)
