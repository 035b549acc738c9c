"""The cache with room: what transformers' own holds, without copying it for each token."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from backend.training.cache import RoomyLayer, empty_cache, sees_all
from tests.tiny_model import build_model, load_tiny


def added(seed: int, tokens: int = 1, rows: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    keys, values = torch.randn(2, rows, 2, tokens, 4, generator=generator)
    return keys, values


@torch.no_grad()
def test_it_holds_what_transformers_layer_holds() -> None:
    ours, theirs = RoomyLayer(), DynamicLayer()
    for layer in (ours, theirs):
        layer.update(*added(0, tokens=5))
        for step in range(1, 50):
            layer.update(*added(step))
        layer.batch_select_indices(torch.tensor([2, 0]))
        layer.update(*added(60, rows=2))
        layer.crop(-3)
        layer.update(*added(61, rows=2))
    assert torch.equal(ours.keys, theirs.keys)
    assert torch.equal(ours.values, theirs.values)
    assert ours.get_seq_length() == theirs.get_seq_length() == 53


@torch.no_grad()
def test_tokens_are_added_in_place() -> None:
    layer = RoomyLayer()
    layer.update(*added(0, tokens=5))
    places = set()
    for step in range(1, 31):
        layer.update(*added(step))
        places.add(layer.keys.data_ptr())
    assert len(places) == 1


@torch.no_grad()
def test_what_was_selected_is_not_overwritten() -> None:
    layer = RoomyLayer()
    layer.update(*added(0, tokens=5))
    layer.update(*added(1))
    kept = layer.keys[:, :, :6].clone()
    layer.batch_select_indices(torch.tensor([0, 1, 2, 0]))
    layer.update(*added(2, rows=4))
    assert torch.equal(layer.keys[:3, :, :6], kept)
    assert torch.equal(layer.keys[3, :, :6], kept[0])


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_only_layers_that_keep_everything_have_room(family: str, tmp_path: Path) -> None:
    config = load_tiny(build_model(tmp_path, family=family)).network.config
    ours = [type(layer) for layer in empty_cache(config).layers]
    theirs = [type(layer) for layer in DynamicCache(config=config).layers]
    assert [RoomyLayer if each is DynamicLayer else each for each in theirs] == ours
    assert sees_all(empty_cache(config)) == (family in {"llama", "gpt2"})
