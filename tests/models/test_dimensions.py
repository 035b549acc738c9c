"""A model's size without its weights: equal to the real count, or read from its name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from backend.config import AdapterConfig
from backend.errors import ModelError
from backend.models.dimensions import (
    BUNDLED_DIMENSIONS,
    from_config,
    from_name,
    read_dimensions,
)
from tests.tiny_model import build_model, load_tiny

SMALL = {
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "vocab_size": 500,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}
QWEN_7B = {
    "model_type": "qwen2",
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152064,
    "tie_word_embeddings": False,
}


@pytest.mark.parametrize("is_tied", [True, False])
@pytest.mark.parametrize(
    ("family", "more"),
    [
        ("llama", {"num_key_value_heads": 2}),
        ("llama", {"num_key_value_heads": 1, "head_dim": 32, "attention_bias": True}),
        ("mistral", {"num_key_value_heads": 2}),
        ("qwen2", {"num_key_value_heads": 2}),
        ("qwen3", {"num_key_value_heads": 2, "head_dim": 16}),
        ("gemma2", {"num_key_value_heads": 2, "head_dim": 16}),
        ("phi3", {"num_key_value_heads": 2}),
        ("gpt_neox", {}),
        ("mixtral", {"num_key_value_heads": 2, "num_local_experts": 4}),
        ("qwen3_moe", {"num_key_value_heads": 2, "num_experts": 4, "moe_intermediate_size": 32}),
    ],
)
def test_parameters_are_those_of_the_real_model(
    family: str, more: dict[str, Any], is_tied: bool, tmp_path: Path
) -> None:
    """To 0.5 %: some families have norms that no field of their config tells of."""
    config = CONFIG_MAPPING[family](**SMALL, **more, tie_word_embeddings=is_tied)
    config.save_pretrained(tmp_path)
    network = AutoModelForCausalLM.from_config(config)
    real = sum(parameter.numel() for parameter in network.parameters())
    found = from_config(json.loads((tmp_path / "config.json").read_text()))
    assert found is not None
    assert found.parameters == pytest.approx(real, rel=0.005)
    if family in ("llama", "mistral", "qwen2", "phi3", "gpt_neox", "mixtral"):
        assert found.parameters == real


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_models_folder_is_enough(family: str, tmp_path: Path) -> None:
    folder = build_model(tmp_path / family, family=family)
    network = AutoModelForCausalLM.from_pretrained(folder)
    found = read_dimensions(str(folder), tmp_path)
    assert found is not None
    assert found.parameters == sum(parameter.numel() for parameter in network.parameters())
    assert found.note == ""


def test_adapter_width_times_rank_is_the_number_of_trained_weights(tiny_folder: Path) -> None:
    model = load_tiny(tiny_folder)
    model.add_adapter(AdapterConfig(rank=4), seed=0)
    found = read_dimensions(str(tiny_folder), tiny_folder)
    assert found is not None
    trained = sum(parameter.numel() for parameter in model.adapter_parameters().values())
    assert 4 * found.adapter_width == trained


def test_a_mixture_of_experts_uses_some_of_its_weights_and_is_called_rough() -> None:
    plain = {**SMALL, "model_type": "mixtral", "num_key_value_heads": 2}
    dense = from_config(plain)
    mixed = from_config({**plain, "num_local_experts": 8, "num_experts_per_tok": 2})
    assert dense is not None
    assert mixed is not None
    assert dense.active < mixed.active < mixed.parameters / 2
    assert "rough" in mixed.note


def test_the_text_part_of_a_larger_config_counts() -> None:
    assert from_config({"model_type": "x", "text_config": QWEN_7B}) == from_config(QWEN_7B)


def test_a_config_that_lacks_dimensions_tells_nothing() -> None:
    assert from_config({"model_type": "mamba", "vocab_size": 100}) is None
    assert from_config({**QWEN_7B, "num_attention_heads": 0}) is None


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", 7),
        ("Qwen/Qwen2.5-7B-Instruct-1M", 7),
        ("Qwen/Qwen2.5-0.5b", 0.5),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", 0.135),
        ("google/gemma-3-270m-it", 0.27),
        ("Qwen/Qwen3-30B-A3B", 30),
        ("mistralai/Mixtral-8x7B-v0.1", 56),
        ("org7B/model-1.7B-4bit", 1.7),
    ],
)
def test_a_size_is_read_from_a_name(name: str, billions: float) -> None:
    found = from_name(name)
    assert found is not None
    assert found.parameters == pytest.approx(billions * 1e9)
    assert found.active < found.parameters
    assert "rough" in found.note


@pytest.mark.parametrize("name", ["microsoft/phi-2", "openai-community/gpt2", "a/b4bit", "7B/x"])
def test_a_name_without_a_size_tells_nothing(name: str) -> None:
    assert from_name(name) is None


def test_a_name_comes_near_the_real_config() -> None:
    real, guessed = from_config(QWEN_7B), from_name("Qwen/Qwen2.5-7B")
    assert real is not None
    assert guessed is not None
    assert real.parameters == 7_615_616_512
    assert guessed.active == pytest.approx(real.active, rel=0.1)


def test_the_bundled_model_is_known_before_it_is_converted(tmp_path: Path) -> None:
    assert read_dimensions("bundled:smollm2-135m-instruct", tmp_path) == BUNDLED_DIMENSIONS
    smollm2 = {"model_type": "llama", "hidden_size": 576, "intermediate_size": 1536,
               "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
               "vocab_size": 49152, "tie_word_embeddings": True}  # fmt: skip
    assert from_config(smollm2) == BUNDLED_DIMENSIONS


def test_no_model_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model that the lab can find"):
        read_dimensions("not a model", tmp_path)


@pytest.mark.parametrize(
    "family", ["llama", "mistral", "qwen2", "qwen3", "gemma2", "gpt2", "cohere", "granite"]
)
def test_a_config_tells_which_models_are_read_flat(family: str, tmp_path: Path) -> None:
    folder = build_model(tmp_path, family=family)
    found = from_config(json.loads((folder / "config.json").read_text("utf-8")))
    assert found is not None
    assert found.is_flat == (load_tiny(folder).flat() is not None)


def test_windows_that_slide_are_not_read_flat() -> None:
    for window in ({"sliding_window": 64}, {"layer_types": ["sliding_attention"] * 3}):
        found = from_config({**SMALL, "model_type": "mistral", **window})
        assert found is not None
        assert not found.is_flat
    off = from_config({**QWEN_7B, "sliding_window": 64, "use_sliding_window": False})
    assert off is not None
    assert off.is_flat
