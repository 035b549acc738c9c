"""How large a model is: from its config.json, or roughly from the size in its name."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from backend.models.on_disk import folder_on_disk
from backend.models.sources import find_source, model_config


@dataclass(frozen=True)
class Dimensions:
    """What time and memory depend on; ``note`` says where the numbers are rough.

    ``active`` are the weights of the layers that a token passes (fewer than all in a mixture of
    experts), without embeddings and head. ``attention`` and ``kv`` are the widths of queries and
    of keys over all heads; ``mlp`` is the width that a token meets in the feed-forward part.
    ``is_flat`` says whether a step reads the model flat (models/flat.py), which keeps less.
    """

    parameters: int
    active: int
    layers: int
    hidden: int
    attention: int
    kv: int
    mlp: int
    vocabulary: int
    note: str = ""
    is_flat: bool = True

    @property
    def adapter_width(self) -> int:
        """Inputs and outputs of all linear layers: LoRA has ``rank`` weights for each."""
        layer = 4 * self.hidden + 2 * (self.attention + self.kv)
        return self.layers * (layer + 3 * (self.hidden + self.mlp))

    @property
    def output_width(self) -> int:
        """Outputs of all linear layers: DoRA has a magnitude for each."""
        layer = 2 * self.hidden + self.attention + 2 * self.kv
        return self.layers * (layer + 2 * self.mlp)

    @property
    def products_a_rank(self) -> int:
        """Multiplications a rank that make every layer's B times A, by PEFT from an identity."""
        h, a, kv, m = self.hidden, self.attention, self.kv, self.mlp
        layer = h * (h + a) + 2 * h * (h + kv) + a * (a + h) + 2 * h * (h + m) + m * (m + h)
        return self.layers * layer


# Of SmolLM2, Qwen2.5 and Llama 3: what a model of about that size looks like.
_TYPICAL: Final = (
    Dimensions(134_515_008, 106_202_880, 30, 576, 576, 192, 1536, 49_152),
    Dimensions(494_032_768, 357_897_216, 24, 896, 896, 128, 4864, 151_936),
    Dimensions(1_543_714_304, 1_310_339_072, 28, 1536, 1536, 256, 8960, 151_936),
    Dimensions(3_085_938_688, 2_774_771_712, 36, 2048, 2048, 256, 11_008, 151_936),
    Dimensions(7_615_616_512, 6_525_618_176, 28, 3584, 3584, 512, 18_944, 152_064),
    Dimensions(14_770_033_664, 13_212_893_184, 48, 5120, 5120, 1024, 13_824, 152_064),
    Dimensions(32_763_876_352, 31_206_735_872, 64, 5120, 5120, 1024, 27_648, 152_064),
    Dimensions(70_553_706_496, 68_452_352_000, 80, 8192, 8192, 1024, 28_672, 128_256),
)
BUNDLED_DIMENSIONS: Final = _TYPICAL[0]

# "7B" and "135m", but neither the 3B of "A3B" (active experts) nor the 4b of "4bit".
_SIZE: Final = re.compile(r"(?<![A-Za-z0-9.])(?:(\d+)x)?(\d+(?:\.\d+)?)([bm])(?![a-z0-9])", re.I)
_UNGATED: Final = frozenset(
    {"bloom", "falcon", "gpt2", "gpt_bigcode", "gpt_neo", "gpt_neox", "gptj", "mpt", "opt", "phi",
     "starcoder2"}
)  # fmt: skip
# Families that models/flat.py reads.
_FLAT: Final = frozenset({"llama", "mistral", "qwen2", "qwen3"})
# Families whose query, key and value layers have biases, whatever their config says.
_QKV_BIAS: Final = frozenset({"qwen2", "qwen2_moe", "gpt_bigcode"})


def read_dimensions(name: str, home: Path) -> Dimensions | None:
    """The model's dimensions; None where neither its files nor its name tell.

    Raises ModelError for a name that means no model.
    """
    folder = folder_on_disk(name, home)
    if folder is not None:
        found = from_config(model_config(folder))
        if found is not None:
            return found
    if find_source(name, home).kind == "bundled":
        return BUNDLED_DIMENSIONS
    return from_name(name)


def from_name(name: str) -> Dimensions | None:
    """Those of a typical model of the size that a name states: ``Qwen2.5-7B``, ``gpt-135m``."""
    sizes = [
        float(number) * int(experts or 1) * (1e9 if unit in "bB" else 1e6)
        for experts, number, unit in _SIZE.findall(name.rstrip("/").rpartition("/")[2])
    ]
    if not sizes or not 1e6 <= max(sizes) <= 1e13:
        return None
    size = max(sizes)
    near = min(_TYPICAL, key=lambda typical: abs(math.log(size / typical.parameters)))
    scale = size / near.parameters
    note = "rough: the model is not on this disk, its size is read from its name"
    return replace(near, parameters=round(size), active=round(near.active * scale), note=note)


def from_config(config: Mapping[str, Any]) -> Dimensions | None:
    """Dimensions from a config.json as transformers writes it; None where it lacks some."""
    config = {**config, **(config.get("text_config") or {})}
    try:
        return _from_config(config)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


def _from_config(config: Mapping[str, Any]) -> Dimensions:
    hidden = _number(config, "hidden_size", "n_embd", "d_model")
    layers = _number(config, "num_hidden_layers", "n_layer", "n_layers", "num_layers")
    heads = _number(config, "num_attention_heads", "n_head", "n_heads", "num_heads")
    vocabulary = _number(config, "vocab_size")
    family = str(config.get("model_type", ""))
    head_width = config.get("head_dim") or hidden // heads
    attention, kv = heads * head_width, _kv_heads(config, heads) * head_width
    mlp = _mlp_width(config, hidden)
    matrices = 2 if family in _UNGATED else 3

    attention_weights = hidden * (2 * attention + 2 * kv) + _biases(config, family, attention, kv)
    expert = matrices * hidden * mlp
    if family in _UNGATED or config.get("mlp_bias"):
        expert += (matrices - 1) * mlp + hidden
    norms = hidden * (4 if family in _UNGATED else 2)
    experts, used, note = _experts(config)
    router = hidden * experts if experts > 1 else 0
    every_layer = attention_weights + norms + router

    total = layers * (every_layer + experts * expert) + hidden * (2 if family in _UNGATED else 1)
    total += vocabulary * hidden * (1 if config.get("tie_word_embeddings", True) else 2)
    total += hidden * _learned_positions(config, family)
    return Dimensions(
        parameters=total,
        active=layers * (every_layer + used * expert),
        layers=layers,
        hidden=hidden,
        attention=attention,
        kv=kv,
        mlp=mlp * used,
        vocabulary=vocabulary,
        note=note,
        is_flat=family in _FLAT
        and config.get("hidden_act", "silu") == "silu"
        and not _slides(config),
    )


def _slides(config: Mapping[str, Any]) -> bool:
    """Whether attention of some layer sees a window only."""
    kinds = config.get("layer_types")
    if kinds:
        return any(kind != "full_attention" for kind in kinds)
    return bool(config.get("sliding_window")) and config.get("use_sliding_window") is not False


def _number(config: Mapping[str, Any], *names: str) -> int:
    """The first of ``names`` that the config has. Raises KeyError."""
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and value > 0:
            return value
    raise KeyError(names[0])


def _kv_heads(config: Mapping[str, Any], heads: int) -> int:
    if config.get("multi_query"):
        return 1
    found = config.get("num_key_value_heads") or config.get("num_kv_heads") or heads
    return int(found)


def _mlp_width(config: Mapping[str, Any], hidden: int) -> int:
    for name in ("moe_intermediate_size", "intermediate_size", "n_inner", "ffn_dim"):
        value = config.get(name)
        if isinstance(value, int) and value > 0:
            return value
    return 4 * hidden


def _experts(config: Mapping[str, Any]) -> tuple[int, int, str]:
    """Experts a layer, those that a token passes, and a note if there are several."""
    for name in ("num_experts", "num_local_experts", "n_routed_experts"):
        count = config.get(name)
        if isinstance(count, int) and count > 1:
            shared = int(config.get("n_shared_experts") or 0)
            used = int(config.get("num_experts_per_tok") or 2) + shared
            return count + shared, used, "it is a mixture of experts: the numbers are rough"
    return 1, 1, ""


def _biases(config: Mapping[str, Any], family: str, attention: int, kv: int) -> int:
    hidden = _number(config, "hidden_size", "n_embd", "d_model")
    if family in _UNGATED or config.get("attention_bias"):
        return attention + 2 * kv + hidden
    return attention + 2 * kv if family in _QKV_BIAS else 0


def _learned_positions(config: Mapping[str, Any], family: str) -> int:
    if family not in ("gpt2", "gpt_bigcode", "gpt_neo", "opt"):
        return 0
    return _number(config, "n_positions", "max_position_embeddings")
