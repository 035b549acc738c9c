"""Llama-shaped networks read with few operations: what answers are written with.

Where eight rows of one token pass a layer, transformers' sixty small operations take as long as the
products. Here queries, keys and values are one product, and so are an MLP's two; keys that several
queries share are read in place, and padding goes through no product. What the layers kept of the
tokens can be kept, so that a backward pass may follow (models/flat.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import DynamicCache
from transformers.modeling_outputs import BaseModelOutputWithPast

from backend.models.kept import Activations, Kept
from backend.models.llama import Heads, Turns, added_to_scores, joined_layers, normed, turns_of
from backend.models.products import product
from backend.models.segments import FlatTokens, LevelAttention, attended

_INPUTS: Final = frozenset(
    {"input_ids", "attention_mask", "position_ids", "past_key_values", "use_cache"}
)

# The weight [O, I] that linear layers with one input stand for, one below the other, and the bias.
Merge = Callable[[Sequence[nn.Module]], tuple[Tensor, Tensor | None]]
# What the tokens attend to [N, queries * D], from queries, keys and values [N, h, D] of a layer.
_Attend = Callable[[Tensor, int], Tensor]


@dataclass(frozen=True)
class _Product:
    weight_OI: Tensor
    bias_O: Tensor | None

    def __call__(self, rows_NI: Tensor) -> Tensor:
        return product(rows_NI, self.weight_OI, self.bias_O)


class _Layer:
    """One layer's weights, and what it does to hidden states."""

    def __init__(self, layer: Any, merge: Merge) -> None:
        self._norms = (layer.input_layernorm, layer.post_attention_layernorm)
        self._read, self._out, self._open, self._down = (
            _Product(*merge(joined)) for joined in joined_layers(layer)
        )
        self.heads = Heads.of(layer.self_attn)
        self._place, self._act = layer.self_attn.layer_idx, layer.mlp.act_fn

    def __call__(self, hidden_NH: Tensor, turns: Turns, attend: _Attend) -> tuple[Tensor, Kept]:
        heads_NO = self._read(normed(self._norms[0], hidden_NH))
        attended_NA = attend(self.heads.turned(heads_NO, turns), self._place)
        middle_NH = self._out(attended_NA)
        middle_NH += hidden_NH
        gate_up_NM = self._open(normed(self._norms[1], middle_NH))
        gate_NM, up_NM = gate_up_NM.chunk(2, -1)
        after_NH = self._down(self._act(gate_NM).mul_(up_NM))
        after_NH += middle_NH
        return after_NH, Kept(hidden_NH, heads_NO, attended_NA, middle_NH, gate_up_NM)


class FusedReader:
    """Reads as the network's own forward does, without gradient, while its weights stay."""

    def __init__(self, backbone: Any, merge: Merge) -> None:
        self._own = backbone.forward
        self._embed, self._rotary, self._norm = (
            backbone.embed_tokens, backbone.rotary_emb, backbone.norm,
        )  # fmt: skip
        self._layers = [_Layer(layer, merge) for layer in backbone.layers]
        self._activations: Activations | None = None

    @contextlib.contextmanager
    def keeping(self, activations: Activations | None) -> Iterator[None]:
        """Adds what the layers keep of all that is read in the block to ``activations``."""
        self._activations = activations
        try:
            yield
        finally:
            self._activations = None

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
        rows = _rows(ids_BL, mask, self._layers[0].heads, self._norm.weight.dtype, cache)
        positions_BL, ids_M = positions_BL.expand_as(ids_BL).reshape(-1), ids_BL.flatten()
        if rows.places_N is not None:
            positions_BL, ids_M = positions_BL[rows.places_N], ids_M[rows.places_N]
        hidden_NH = self._read(ids_M, positions_BL, rows.attend)
        if rows.places_N is not None:
            hidden_NH = _placed(hidden_NH, rows.places_N, ids_BL.numel())
        return hidden_NH.view(*ids_BL.shape, -1)

    def read_flat(self, tokens: FlatTokens, cache: DynamicCache | None = None) -> Tensor:
        """Hidden states [N, H]; an empty cache has all tokens as one row then."""
        heads = self._layers[0].heads
        levels = [LevelAttention(each, heads, self._norm.weight.dtype) for each in tokens.levels]

        def attend(heads_NhD: Tensor, place: int) -> Tensor:
            if cache is not None:
                _, key, value = _parts(heads, heads_NhD.transpose(0, 1)[None])
                cache.update(key, value, place)
            return attended(levels, heads_NhD)

        return self._read(tokens.ids_N, tokens.positions_N, attend)

    def _read(self, ids_N: Tensor, positions_N: Tensor, attend: _Attend) -> Tensor:
        """Hidden states [N, H]."""
        hidden_NH = self._embed(ids_N)
        turns = turns_of(self._rotary, hidden_NH, positions_N)
        found: list[Kept] = []
        for layer in self._layers:
            hidden_NH, kept = layer(hidden_NH, turns, attend)
            if self._activations is not None:
                found.append(kept)
            del kept  # Else it would stay until the next layer has its own.
        if self._activations is not None:
            self._activations.add(found, hidden_NH)
        return normed(self._norm, hidden_NH)


@dataclass(frozen=True)
class _Rows:
    """Which of B rows of L tokens are read, and what they see: padding costs no product.

    ``places_N`` are those of the N tokens that are no padding, None where none is; ``bias`` is
    added to scores; the cache holds what was read before, if anything was.
    """

    batch: int
    length: int
    places_N: Tensor | None
    bias: Tensor | None
    heads: Heads
    cache: Any

    def attend(self, heads_NhD: Tensor, place: int) -> Tensor:
        """What the tokens attend to, [N, queries * D]."""
        query, key, value = _parts(self.heads, self._spread(heads_NhD))
        if self.cache is not None:
            key, value = self.cache.update(key, value, place)
        return self._gather(_attention(query, key, value, self.bias, self.heads.scale))

    def _spread(self, heads_NGD: Tensor) -> Tensor:
        """[B, heads, L, D]; zeros where padding is."""
        if self.places_N is not None:
            heads_NGD = _placed(heads_NGD, self.places_N, self.batch * self.length)
        return heads_NGD.view(self.batch, self.length, *heads_NGD.shape[1:]).transpose(1, 2)

    def _gather(self, heads_BGLD: Tensor) -> Tensor:
        """[N, heads * D]."""
        rows = heads_BGLD.transpose(1, 2).reshape(self.batch * self.length, -1)
        return rows if self.places_N is None else rows[self.places_N]


def _rows(ids_BL: Tensor, mask: Tensor, heads: Heads, dtype: torch.dtype, cache: Any) -> _Rows:
    batch, length = ids_BL.shape
    if mask.ndim == 4:
        return _Rows(batch, length, None, mask, heads, cache)
    sees_BP = mask.bool()
    real_BL = sees_BP[:, -length:]
    places_N = None if bool(real_BL.all()) else real_BL.flatten().nonzero()[:, 0]
    return _Rows(batch, length, places_N, _bias(sees_BP, length, dtype), heads, cache)


def _parts(heads: Heads, heads_BhLD: Tensor) -> Sequence[Tensor]:
    """Queries, keys and values."""
    count = heads_BhLD.shape[1]
    queries, values = heads.queries(count), heads.first_value(count)
    return torch.split(heads_BhLD, [queries, values - queries, count - values], 1)


def _placed(values_NX: Tensor, places_N: Tensor, count: int) -> Tensor:
    """[count, X] with the values at their places and zeros elsewhere."""
    zeros = values_NX.new_zeros(count, *values_NX.shape[1:])
    return zeros.index_copy_(0, places_N, values_NX)


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
