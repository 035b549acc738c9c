"""Prompts that begin alike are read as plain passes read them, and their beginning only once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from backend.config import AdapterConfig
from backend.models.language_model import LanguageModel
from backend.text.beginnings import common_beginning
from backend.training.packing import pack
from backend.training.prefill import completion_hidden, prefill
from tests.tiny_model import PAD_ID, build_model, load_tiny
from tests.training.tiny_runs import disturb_adapter

BEGINNING = [5, 9, 11, 6, 14, 7, 21, 30, 8, 17]
PROMPTS = [[*BEGINNING, 4], [*BEGINNING, 12, 13, 22, 40], [*BEGINNING, 12, 6]]


def tokens_read(model: LanguageModel, prompts: list[list[int]]) -> tuple[Any, int]:
    """What prefill gives, and over how many tokens, padding included, the model went for it."""
    seen = []
    hook = model.network.base_model.register_forward_pre_hook(
        lambda _, __, given: seen.append(given["input_ids"].numel()), with_kwargs=True
    )
    with torch.no_grad():
        found = prefill(model, prompts)
    hook.remove()
    return found, sum(seen)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_prefilled_prompts_equal_plain_passes(family: str, tmp_path: Path) -> None:
    model = load_tiny(build_model(tmp_path, family=family))
    found, _ = tokens_read(model, PROMPTS)
    assert found.next_positions_B1[:, 0].tolist() == [11, 14, 12]
    for row, prompt in enumerate(PROMPTS):
        with torch.no_grad():
            plain = model.backbone(input_ids=torch.tensor([prompt])).last_hidden_state[0, -1]
        assert torch.allclose(found.hidden_NH[row], plain, atol=2e-5)


def test_what_all_begin_with_is_read_once(tiny_folder: Path, tmp_path: Path) -> None:
    assert tokens_read(load_tiny(tiny_folder), PROMPTS)[1] == 10 + 3 * 4
    # Too short a beginning, or a window that would count the padding behind it: read as they are.
    assert tokens_read(load_tiny(tiny_folder), [p[5:] for p in PROMPTS])[1] == 3 * 9
    assert tokens_read(load_tiny(build_model(tmp_path, family="gemma2")), PROMPTS)[1] == 3 * 14


def test_a_token_is_left_of_each_prompt() -> None:
    assert common_beginning([[1, 2, 3], [1, 2, 3]]) == 2
    assert common_beginning([[1, 2], [1, 2, 3]]) == 1
    assert common_beginning([[1], [1]]) == 0
    assert common_beginning([[1, 2, 3]]) == 0
    assert common_beginning([[1, 2], [3, 2]]) == 0


COMPLETIONS = [[40, 41], [50], [60, 61, 62, 63], [44, 45, 46]]


def gradients(
    model: LanguageModel, rows: list[int]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    prompts = [[*PROMPTS, PROMPTS[0]][row] for row in rows]
    batch = pack(prompts, [COMPLETIONS[row] for row in rows], PAD_ID, model.compute.device)
    hidden_NH = completion_hidden(model, batch)
    hidden_NH.sin().sum().backward()
    found = {n: p.grad for n, p in model.adapter_parameters().items() if p.grad is not None}
    for parameter in model.adapter_parameters().values():
        parameter.grad = None
    return hidden_NH.detach(), found


@pytest.mark.parametrize("longest", [512, 0])
@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen3"])
def test_what_is_shared_changes_no_gradient(
    family: str, longest: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A beginning of all prompts and a prompt of two rows, against plain passes, in fp64.

    (All rows as one tree, and with a cache of what they share.)
    """
    model = load_tiny(build_model(tmp_path, family=family))
    model.network.double()
    model.add_adapter(AdapterConfig(rank=4), seed=0)
    disturb_adapter(model)
    monkeypatch.setattr("backend.training.prefill.LONGEST", longest)
    together, summed = gradients(model, [0, 1, 2, 3])
    monkeypatch.setattr("backend.training.prefill.LONGEST", 0)
    alone = [gradients(model, [row]) for row in range(4)]
    torch.testing.assert_close(together, torch.cat([each[0] for each in alone]), atol=1e-6, rtol=0)
    for name, gradient in summed.items():
        expected = torch.stack([each[1][name] for each in alone]).sum(0)
        scale = float(expected.abs().max())
        torch.testing.assert_close(gradient / scale, expected / scale, atol=1e-6, rtol=0)


def tokens_embedded(model: LanguageModel, prompts: list[list[int]]) -> list[tuple[int, ...]]:
    """The shapes of the tokens that the network reads to predict completions."""
    seen: list[tuple[int, ...]] = []
    hook = model.network.get_input_embeddings().register_forward_pre_hook(
        lambda _, given: seen.append(tuple(given[0].shape))
    )
    with torch.no_grad():
        completion_hidden(model, pack(prompts, COMPLETIONS, PAD_ID, model.compute.device))
    hook.remove()
    return seen


SHARED = [PROMPTS[0], PROMPTS[1], PROMPTS[0], PROMPTS[0]]
# The beginning, two prompts' own tokens, completions but for their last tokens.
ONCE = 10 + 1 + 4 + (1 + 0 + 3 + 2)


def test_what_rows_share_is_read_once_and_nothing_is_padding(tiny_folder: Path) -> None:
    assert tokens_embedded(load_tiny(tiny_folder), SHARED) == [(ONCE,)]


@pytest.mark.parametrize(
    ("longest", "expected"),
    [
        # One tree.
        (512, [(1, ONCE)]),
        # Too long for one: the beginning, two prompts' rests, four completions with padding.
        (20, [(1, 10), (2, 4), (4, 3)]),
    ],
)
def test_other_networks_read_what_rows_share_once(
    longest: int,
    expected: list[tuple[int, int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("backend.training.prefill.LONGEST", longest)
    model = load_tiny(build_model(tmp_path, family="gpt2"))
    assert tokens_embedded(model, SHARED) == expected
