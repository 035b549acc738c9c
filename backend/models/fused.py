"""Llama-shaped networks read with few operations: what answers are written with.

Where eight rows of one token pass a layer, transformers' sixty small operations take as long as the
products. Here queries, keys and values are one product, and so are an MLP's two; keys that several
queries share are read in place, and padding goes through no product.
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


@dataclass(frozen=True)
class _Seen:
    """Which of B rows of L tokens are read, and what they see: padding costs no product.

    ``places_N`` are those of the N tokens that are no padding, None where none is; ``bias`` is
    added to scores.
    """

    batch: int
    length: int
    places_N: Tensor | None
    bias: Tensor | None

    def spread(self, heads_NGD: Tensor) -> Tensor:
        """[B, heads, L, D]; zeros where padding is."""
        if self.places_N is not None:
            heads_NGD = _placed(heads_NGD, self.places_N, self.batch * self.length)
        return heads_NGD.view(self.batch, self.length, *heads_NGD.shape[1:]).transpose(1, 2)

    def gather(self, heads_BGLD: Tensor) -> Tensor:
        """[N, heads * D]."""
        rows = heads_BGLD.transpose(1, 2).reshape(self.batch * self.length, -1)
        return rows if self.places_N is None else rows[self.places_N]


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
        self, hidden_NH: Tensor, turns: tuple[Tensor, Tensor], seen: _Seen, cache: Any
    ) -> Tensor:
        hidden_NH += self._attend(normed(self.norms[0], hidden_NH), turns, seen, cache)
        gate_NM, up_NM = self.open(normed(self.norms[1], hidden_NH)).chunk(2, -1)
        hidden_NH += self.down(self.act(gate_NM).mul_(up_NM))
        return hidden_NH

    def _attend(
        self, normed_NH: Tensor, turns: tuple[Tensor, Tensor], seen: _Seen, cache: Any
    ) -> Tensor:
        # All queries, then the keys, then the values.
        heads = self.read(normed_NH).view(len(normed_NH), -1, self.size)
        kv = heads.shape[1] // (self.shared_by + 2)
        turning = heads[:, : kv * (self.shared_by + 1)]
        if self.head_norms[0] is not None:
            parts = torch.split(turning, [kv * self.shared_by, kv], 1)
            both = [normed(norm, part) for norm, part in zip(self.head_norms, parts, strict=True)]
            turning = torch.cat(both, 1)
        query, key = torch.split(turned(turning, *turns), [kv * self.shared_by, kv], 1)
        query, key, value = (seen.spread(each) for each in (query, key, heads[:, -kv:]))
        if cache is not None:
            key, value = cache.update(key, value, self.place)
        return self.out(seen.gather(_attention(query, key, value, seen.bias, self.scale)))


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
        """Hidden states [B, L, H], zero at padding.

        ``mask`` is [B, P] of tokens to see, those of the cache first, or what is added to scores.
        """
        seen = _seen(ids_BL, mask, self._norm.weight.dtype)
        positions_BL, ids_M = positions_BL.expand_as(ids_BL).reshape(1, -1), ids_BL.flatten()
        if seen.places_N is not None:
            positions_BL, ids_M = positions_BL[:, seen.places_N], ids_M[seen.places_N]
        hidden_NH = self._embed(ids_M)
        turns = tuple(each[0, :, None] for each in self._rotary(hidden_NH, positions_BL))
        for layer in self._layers:
            hidden_NH = layer(hidden_NH, turns, seen, cache)
        hidden_NH = normed(self._norm, hidden_NH)
        if seen.places_N is not None:
            hidden_NH = _placed(hidden_NH, seen.places_N, ids_BL.numel())
        return hidden_NH.view(*ids_BL.shape, -1)


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


def _seen(ids_BL: Tensor, mask: Tensor, dtype: torch.dtype) -> _Seen:
    batch, length = ids_BL.shape
    if mask.ndim == 4:
        return _Seen(batch, length, None, mask)
    sees_BP = mask.bool()
    real_BL = sees_BP[:, -length:]
    places_N = None if bool(real_BL.all()) else real_BL.flatten().nonzero()[:, 0]
    return _Seen(batch, length, places_N, _bias(sees_BP, length, dtype))


def _placed(values_NX: Tensor, places_N: Tensor, count: int) -> Tensor:
    """[count, X] with the values at their places and zeros elsewhere."""
    zeros = values_NX.new_zeros(count, *values_NX.shape[1:])
    return zeros.index_copy_(0, places_N, values_NX)


def normed(norm: Any, hidden: Tensor) -> Tensor:
    """An RMSNorm of the last axis."""
    return rms_norm(hidden, norm.weight.shape, norm.weight, norm.variance_epsilon)


def turned(heads_NGD: Tensor, cos_N1D: Tensor, sin_N1D: Tensor) -> Tensor:
    """Rotary positions (arXiv 2104.09864), in halves as transformers has them."""
    first, second = heads_NGD.chunk(2, -1)
    return (heads_NGD * cos_N1D).addcmul_(torch.cat([-second, first], -1), sin_N1D)


def _bias(sees_BP: Tensor, length: int, dtype: torch.dtype) -> Tensor | None:
    """What is added to scores [B, 1, L, P]; None where all tokens see all that came before."""
    seen = sees_BP.shape[1]
    if length in (1, seen) and bool(sees_BP.all()):
        return None
    sees = sees_BP[:, None, None]
    if length > 1:
        place = torch.arange(seen, device=sees.device)
        sees = sees & (place <= place[seen - length :, None])
    return added_to_scores(sees, dtype)


def added_to_scores(sees: Tensor, dtype: torch.dtype) -> Tensor:
    """What attention adds to scores, in the shape of ``sees``: nothing where a token is seen."""
    bias = torch.zeros(sees.shape, dtype=dtype, device=sees.device)
    return bias.masked_fill_(~sees, torch.finfo(dtype).min)


def _attention(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, scale: float
) -> Tensor:
    """[B, heads, L, D]. On a CPU, keys that several queries share are read in place."""
    groups = query.shape[1] // key.shape[1]
    if groups > 1 and not query.is_cpu:
        key, value = (each.repeat_interleave(groups, 1) for each in (key, value))
    return scaled_dot_product_attention(
        query, key, value, bias, is_causal=bias is None and query.shape[2] > 1, scale=scale,
        enable_gqa=groups > 1 and query.is_cpu,
    )  # fmt: skip
