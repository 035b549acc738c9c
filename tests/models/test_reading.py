"""Reading with merged, packed and joined weights gives what transformers' own layers give."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from torch import Tensor

from backend.config import AdapterConfig
from backend.models.fused import FusedReader
from backend.models.language_model import LanguageModel
from backend.training.cache import empty_cache
from backend.training.packing import left_pad
from backend.training.prefill import read_on
from tests.tiny_model import PAD_ID, build_model, load_tiny
from tests.training.tiny_runs import disturb_adapter

FUSED = ("llama", "mistral", "qwen2", "qwen3")
OTHERS = ("gemma", "gemma2", "gemma3_text", "gpt2", "cohere")
# Random weights of this spread make much of a rounding.
ATOL = 3e-4


def adapted(folder: Path, **settings: object) -> LanguageModel:
    model = load_tiny(folder)
    model.add_adapter(AdapterConfig(rank=4, **settings), seed=0)  # type: ignore[arg-type]
    disturb_adapter(model)
    return model


@torch.no_grad()
def states(model: LanguageModel) -> Tensor:
    """Of padded prompts, then of one token and of three that follow them."""
    prompts = [[5, 6, 7, 8], [9, 10], [11, 12, 13]]
    ids, mask, positions = left_pad(prompts, PAD_ID, model.compute.device)
    cache = empty_cache(model.network.config)
    found = [read_on(model, ids, mask, positions, cache)]
    for length in (1, 3):
        ids = torch.arange(20, 20 + 3 * length).view(3, length)
        mask = torch.cat([mask, mask.new_ones(3, length)], 1)
        positions = mask.cumsum(1)[:, -length:] - 1
        found.append(read_on(model, ids, mask, positions, cache))
    sees = torch.cat([left_pad(prompts, PAD_ID, model.compute.device)[1].bool().flatten(),
                      torch.ones(12, dtype=torch.bool)])  # fmt: skip
    return torch.cat([part.flatten(0, 1) for part in found])[sees]


@pytest.mark.parametrize("family", [*FUSED, *OTHERS])
def test_hidden_states_are_those_of_the_networks_own_layers(
    tmp_path: Path, family: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "backend"):
        model = adapted(build_model(tmp_path, family=family))
    assert ("its answers take longer" in caplog.text) != (family in FUSED)
    own = states(model)
    with model.merged():
        is_fused = isinstance(model.network.get_base_model().base_model.forward, FusedReader)
        merged = states(model)
    assert is_fused == (family in FUSED)
    torch.testing.assert_close(merged, own, atol=ATOL, rtol=ATOL)
    torch.testing.assert_close(states(model), own, atol=0, rtol=0)
    with model.base_weights():
        base = states(model)
        with model.merged():
            torch.testing.assert_close(states(model), base, atol=ATOL, rtol=ATOL)
    assert not torch.allclose(base, own, atol=1e-2)


@pytest.mark.parametrize("settings", [{"dora": True}, {"rslora": True}, {"targets": ("q_proj",)}])
def test_every_kind_of_adapter_is_merged(tiny_folder: Path, settings: dict[str, object]) -> None:
    model = adapted(tiny_folder, **settings)
    own = states(model)
    with model.merged():
        torch.testing.assert_close(states(model), own, atol=ATOL, rtol=ATOL)


def test_what_a_reader_cannot_do_is_left_to_the_network(tiny_folder: Path) -> None:
    """With gradient, by transformers' own cache that it makes itself, with other inputs."""
    model = adapted(tiny_folder)
    ids = torch.arange(3, 9)[None]
    own = model.backbone(input_ids=ids).last_hidden_state
    with model.merged():
        found = model.backbone(input_ids=ids).last_hidden_state
        with torch.no_grad():
            counted = model.network(input_ids=ids, use_cache=True).past_key_values
            embedded = model.backbone(inputs_embeds=model.network.get_input_embeddings()(ids))
    torch.testing.assert_close(found, own, atol=0, rtol=0)
    torch.testing.assert_close(embedded.last_hidden_state, own, atol=0, rtol=0)
    assert found.requires_grad
    assert counted.get_seq_length() == 6


@torch.no_grad()
def test_tokens_alone_are_read_whole(tiny_folder: Path) -> None:
    """As lm-eval and transformers' generate ask: without positions, perhaps without a mask."""
    model = adapted(tiny_folder)
    ids = torch.arange(3, 15).view(2, 6)
    own = model.network(input_ids=ids, use_cache=False).logits
    written = model.network.generate(input_ids=ids, max_new_tokens=4, do_sample=False)
    with model.merged():
        torch.testing.assert_close(
            model.network(input_ids=ids, use_cache=False).logits, own, atol=ATOL, rtol=ATOL
        )
        again = model.network.generate(input_ids=ids, max_new_tokens=4, do_sample=False)
    assert torch.equal(again, written)


def test_a_window_that_slides_is_left_to_the_network(tmp_path: Path) -> None:
    model = adapted(build_model(tmp_path, family="mistral"))
    model.network.config.sliding_window = 3
    with model.merged():
        assert not isinstance(model.network.get_base_model().base_model.forward, FusedReader)


@torch.no_grad()
def test_padding_is_not_read(tiny_folder: Path) -> None:
    """Left of prompts, and right of what rows of different lengths go on with."""
    model = adapted(tiny_folder)
    read: list[int] = []
    embeddings = model.network.get_input_embeddings()
    embeddings.register_forward_pre_hook(lambda _, ids: read.append(ids[0].numel()))
    cache = empty_cache(model.network.config)
    prompts = left_pad([[5, 6, 7, 8], [9], [11, 12, 13]], PAD_ID, model.compute.device)
    real = torch.tensor([[1, 1, 0], [1, 0, 0], [0, 0, 0]])
    with model.merged():
        read_on(model, *prompts, cache)
        mask = torch.cat([prompts[1], real], 1)
        found = read_on(model, torch.full((3, 3), 20), mask, mask.cumsum(1)[:, -3:] - 1, cache)
    assert read == [8, 3]
    assert torch.equal(found.abs().sum(-1) > 0, real.bool())
