"""Llama-shaped networks read with few operations: what answers are written with.

Where eight rows of one token pass a layer, transformers' sixty small operations take as long as the
products. Here queries, keys and values are one product, and so are an MLP's two; keys that several
queries share are read in place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.functional import rms_norm, scaled_dot_product_attention
from transformers import DynamicCache, LlamaModel, MistralModel, Qwen2Model, Qwen3Model
from transformers.modeling_outputs import BaseModelOutputWithPast

from backend.models.products import product

_SERVED: Final = frozenset({LlamaModel, MistralModel, Qwen2Model, Qwen3Model})
_KERNEL: Final = "sdpa"
_INPUTS: Final = frozenset(
    {"input_ids", "attention_mask", "position_ids", "past_key_values", "use_cache"}
)

# The weight [O, I] that linear layers with one input stand for, one below the other, and the bias.
Merge = Callable[[Sequence[nn.Module]], tuple[Tensor, Tensor | None]]


@dataclass(frozen=True)
class _Product:
    weight_OI: Tensor
    bias_O: Tensor | None

    def __call__(self, rows_NI: Tensor) -> Tensor:
        return product(rows_NI, self.weight_OI, self.bias_O)


class _Layer:
    """One layer's weights, and what it does to hidden states."""

    def __init__(self, layer: Any, merge: Merge) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.norms = (layer.input_layernorm, layer.post_attention_layernorm)
        self.head_norms = (getattr(attention, "q_norm", None), getattr(attention, "k_norm", None))
        self.read = _Product(*merge([attention.q_proj, attention.k_proj, attention.v_proj]))
        self.out = _Product(*merge([attention.o_proj]))
        self.open = _Product(*merge([mlp.gate_proj, mlp.up_proj]))
        self.down = _Product(*merge([mlp.down_proj]))
        self.size, self.scale = attention.head_dim, attention.scaling
        self.shared_by = attention.num_key_value_groups
        self.place, self.act = attention.layer_idx, mlp.act_fn

    def __call__(
        self, hidden_BLH: Tensor, turns: tuple[Tensor, Tensor], bias: Tensor | None, cache: Any
    ) -> Tensor:
        hidden_BLH += self._attend(normed(self.norms[0], hidden_BLH), turns, bias, cache)
        rows_NH = normed(self.norms[1], hidden_BLH).flatten(0, 1)
        gate_NM, up_NM = self.open(rows_NH).chunk(2, -1)
        hidden_BLH += self.down(self.act(gate_NM).mul_(up_NM)).view_as(hidden_BLH)
        return hidden_BLH

    def _attend(
        self, normed_BLH: Tensor, turns: tuple[Tensor, Tensor], bias: Tensor | None, cache: Any
    ) -> Tensor:
        batch, length, _ = normed_BLH.shape
        # All queries, then the keys, then the values.
        heads = self.read(normed_BLH.flatten(0, 1)).view(batch, length, -1, self.size)
        kv = heads.shape[2] // (self.shared_by + 2)
        query, key, value = torch.split(heads, [kv * self.shared_by, kv, kv], 2)
        if self.head_norms[0] is not None:
            query, key = (normed(n, x) for n, x in zip(self.head_norms, (query, key), strict=True))
            both = turned(torch.cat([query, key], 2), *turns)
        else:
            both = turned(heads[:, :, : kv * (self.shared_by + 1)], *turns)
        query, key = torch.split(both, [kv * self.shared_by, kv], 2)
        key, value = key.transpose(1, 2), value.transpose(1, 2)
        if cache is not None:
            key, value = cache.update(key, value, self.place)
        seen = _attention(query.transpose(1, 2), key, value, bias, self.scale)
        return self.out(seen.transpose(1, 2).reshape(batch * length, -1)).view_as(normed_BLH)


class FusedReader:
    """Reads as the network's own forward does, without gradient, while its weights stay."""

    def __init__(self, backbone: Any, merge: Merge) -> None:
        self._own = backbone.forward
        self._embed, self._rotary, self._norm = (
            backbone.embed_tokens, backbone.rotary_emb, backbone.norm,
        )  # fmt: skip
        self._layers = [_Layer(layer, merge) for layer in backbone.layers]

    def __call__(self, *args: Any, **inputs: Any) -> Any:
        """The backbone's forward; what it cannot do is left to the network's own."""
        given = {name: value for name, value in inputs.items() if value is not None}
        cache = given.get("past_key_values")
        known = not args and "input_ids" in given and given.keys() <= _INPUTS
        cache_type = DynamicCache if given.get("use_cache") else type(None)
        if not known or torch.is_grad_enabled() or type(cache) is not cache_type:
            return self._own(*args, **inputs)
        ids_BL, mask = given["input_ids"], given.get("attention_mask")
        positions_BL = given.get("position_ids")
        held = 0 if cache is None else cache.get_seq_length()
        reached = held + ids_BL.shape[1]
        if positions_BL is None:
            positions_BL = torch.arange(held, reached, device=ids_BL.device)[None]
        if mask is None:
            mask = ids_BL.new_ones(len(ids_BL), reached)
        hidden_BLH = self.read(ids_BL, mask, positions_BL, cache)
        return BaseModelOutputWithPast(last_hidden_state=hidden_BLH, past_key_values=cache)

    def read(self, ids_BL: Tensor, mask: Tensor, positions_BL: Tensor, cache: Any) -> Tensor:
        """Hidden states [B, L, H]; ``mask`` as [B, P] of tokens to see, or as what is added."""
        hidden_BLH = self._embed(ids_BL)
        turns = tuple(each[:, :, None] for each in self._rotary(hidden_BLH, positions_BL))
        bias = mask if mask.ndim == 4 else _bias(mask.bool(), ids_BL.shape[1], hidden_BLH.dtype)
        for layer in self._layers:
            hidden_BLH = layer(hidden_BLH, turns, bias, cache)
        return normed(self._norm, hidden_BLH)


def serves(backbone: Any) -> bool:
    """Whether a :class:`FusedReader` computes what this network does."""
    config = backbone.config
    return (
        type(backbone) in _SERVED and config._attn_implementation == _KERNEL and not _slides(config)
    )


def _slides(config: Any) -> bool:
    kinds = getattr(config, "layer_types", None)
    if kinds is not None:
        return any(kind != "full_attention" for kind in kinds)
    return getattr(config, "sliding_window", None) is not None


def normed(norm: Any, hidden: Tensor) -> Tensor:
    """An RMSNorm of the last axis."""
    return rms_norm(hidden, norm.weight.shape, norm.weight, norm.variance_epsilon)


def turned(heads_BLND: Tensor, cos_BL1D: Tensor, sin_BL1D: Tensor) -> Tensor:
    """Rotary positions (arXiv 2104.09864), in halves as transformers has them."""
    first, second = heads_BLND.chunk(2, -1)
    return (heads_BLND * cos_BL1D).addcmul_(torch.cat([-second, first], -1), sin_BL1D)


def _bias(sees_BP: Tensor, length: int, dtype: torch.dtype) -> Tensor | None:
    """What is added to scores [B, 1, L, P]; None where all tokens see all that came before."""
    seen = sees_BP.shape[1]
    if length in (1, seen) and bool(sees_BP.all()):
        return None
    sees = sees_BP[:, None, None]
    if length > 1:
        place = torch.arange(seen, device=sees.device)
        sees = sees & (place <= place[seen - length :, None])
    bias = torch.zeros(sees.shape, dtype=dtype, device=sees.device)
    return bias.masked_fill_(~sees, torch.finfo(dtype).min)


def _attention(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, scale: float
) -> Tensor:
    """[B, heads, L, D]. One token's queries that share a key are rows of one product."""
    batch, heads, length, size = query.shape
    groups = heads // key.shape[1]
    if length > 1:
        if groups > 1:
            key, value = (each.repeat_interleave(groups, 1) for each in (key, value))
        return scaled_dot_product_attention(
            query, key, value, bias, is_causal=bias is None, scale=scale
        )
    shared = query.reshape(batch, -1, groups, size)
    scores = (shared @ key.transpose(-1, -2)).mul_(scale)
    scores = scores if bias is None else scores.add_(bias)
    return (scores.softmax(-1) @ value).view(batch, heads, 1, size)
