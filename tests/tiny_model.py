"""Tiny random language models, built in code: a folder as save_pretrained writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

from backend.models.compute import Compute
from backend.models.language_model import LanguageModel, load_model
from tests.tiny_tokenizer import build_tokenizer

PAD_ID: Final = 0
TURN_END_ID: Final = 2
# The padding token is an end token as well, as in many real models: masks must not rely on ids.
EOS_IDS: Final = (TURN_END_ID, PAD_ID)
CONTEXT_LENGTH: Final = 512
# Far above the usual 0.02, so that distributions are peaked and differ from token to token.
_SPREAD: Final = 0.25


def build_model(
    folder: Path, *, seed: int = 0, family: str = "llama", eos_ids: Sequence[int] = EOS_IDS
) -> Path:
    """Writes a random model of a few ten thousand weights and its tokenizer; returns ``folder``."""
    build_tokenizer(folder)
    vocabulary = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size()
    config = AutoConfig.for_model(
        family,
        vocab_size=vocabulary,
        bos_token_id=None,
        eos_token_id=TURN_END_ID,
        pad_token_id=PAD_ID,
        tie_word_embeddings=True,
        initializer_range=_SPREAD,
        **_FAMILIES[family],
    )
    torch.manual_seed(seed)
    network = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    network.generation_config = GenerationConfig(eos_token_id=list(eos_ids), pad_token_id=PAD_ID)
    network.save_pretrained(folder)
    return folder


def load_tiny(folder: Path, dtype: torch.dtype = torch.float32) -> LanguageModel:
    """The model in ``folder`` on the CPU."""
    return load_model(str(folder), folder, Compute(torch.device("cpu"), dtype))


def change_json(path: Path, **values: Any) -> None:
    """Sets some values of a JSON file in a model's folder."""
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **values}), "utf-8")


_LLAMA_LIKE: Final = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT_LENGTH,
}
# What makes a family a test of its own: a window that prompts exceed, and changed logits.
_FAMILIES: Final[Mapping[str, Mapping[str, Any]]] = {
    "llama": _LLAMA_LIKE,
    # Learned positions, biases, layers of another kind, and dropout as its authors left it.
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT_LENGTH},
    # Norms that add one to their weights, and embeddings that are scaled.
    "gemma": _LLAMA_LIKE | {"head_dim": 8},
    "gemma2": _LLAMA_LIKE | {"head_dim": 8, "sliding_window": 8, "final_logit_softcapping": 5.0},
    # A layer with a window and one without, whose rotary positions differ.
    "gemma3_text": _LLAMA_LIKE
    | {
        "head_dim": 8,
        "sliding_window": 8,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "mistral": _LLAMA_LIKE | {"sliding_window": None},
    # Biases of queries, keys and values.
    "qwen2": _LLAMA_LIKE,
    # Norms of queries and keys.
    "qwen3": _LLAMA_LIKE | {"head_dim": 8},
    "cohere": _LLAMA_LIKE | {"logit_scale": 0.5},
    "granite": _LLAMA_LIKE | {"logits_scaling": 4.0},
    # Experts, which transformers holds as one weight and stores one by one.
    "mixtral": _LLAMA_LIKE | {"num_local_experts": 4, "num_experts_per_tok": 2},
    "falcon_h1": _LLAMA_LIKE
    | {"mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "lm_head_multiplier": 0.3},
}
