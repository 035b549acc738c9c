"""Llama-shaped networks over flat tokens, with a backward pass of their own: what a step reads.

All tokens of a batch are rows of one product, whichever prompt they belong to, and nothing is
padding; only attention asks which tokens see which. Of each layer the backward pass finds kept what
is dear to compute, and computes the rest anew. Base weights ask for no gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import silu
from transformers.activations import SiLUActivation

from backend.models.adapted import Adapted
from backend.models.fused import normed
from backend.models.fused import serves as is_llama
from backend.models.segments import FlatTokens, Heads, Level, LevelAttention

_SILU = (nn.SiLU, SiLUActivation)
_silu_gradient = torch.ops.aten.silu_backward.grad_input


def serves(backbone: Any) -> bool:
    """Whether a :class:`FlatNetwork` computes what this network does, and its gradients."""
    return is_llama(backbone) and all(
        isinstance(layer.mlp.act_fn, _SILU)
        and not any(parameter.requires_grad for parameter in layer.input_layernorm.parameters())
        and all(Adapted.can_join(group) for group in _groups(layer))
        for layer in backbone.layers
    )


class FlatNetwork:
    """A backbone whose weights stay as they are, but for LoRA adapters in its linear layers."""

    def __init__(self, backbone: Any) -> None:
        self._embed, self._rotary, self._norm = (
            backbone.embed_tokens, backbone.rotary_emb, backbone.norm,
        )  # fmt: skip
        self._layers = [_Layer(layer) for layer in backbone.layers]

    @property
    def is_current(self) -> bool:
        """Whether the weights are still where they were."""
        return all(part.is_current for layer in self._layers for part in layer.parts)

    @property
    def is_served(self) -> bool:
        """Whether the adapters that are switched on now are plain LoRA, one a layer at most."""
        return all(part.is_plain for layer in self._layers for part in layer.parts)

    def read(self, tokens: FlatTokens, places_M: Tensor) -> Tensor:
        """Hidden states [M, H] at some places of the sequence."""
        hidden_NH = self._embed(tokens.ids_N)
        cos, sin = self._rotary(hidden_NH, tokens.positions_N[None])
        turns, heads = (cos[0, :, None], sin[0, :, None]), self._layers[0].heads
        levels = [LevelAttention(level, heads, hidden_NH.dtype) for level in tokens.levels]
        context = _Context(turns, tokens.levels, levels)
        with torch.autocast(hidden_NH.device.type, enabled=False):
            for layer in self._layers:
                weights = [weight for part in layer.parts for weight in part.weights()]
                hidden_NH = _LayerPass.apply(  # type: ignore[no-untyped-call]
                    layer, context, hidden_NH, *weights
                )
            return normed(self._norm, hidden_NH[places_M])


@dataclass(frozen=True)
class _Context:
    """What all layers share: rotary positions, each [N, 1, D], and the tree's levels."""

    turns: tuple[Tensor, Tensor]
    levels: Sequence[Level]
    attention: Sequence[LevelAttention]


def _groups(layer: Any) -> list[list[nn.Module]]:
    """A layer's linear layers, those with one input together."""
    attention, mlp = layer.self_attn, layer.mlp
    return [
        [attention.q_proj, attention.k_proj, attention.v_proj],
        [attention.o_proj],
        [mlp.gate_proj, mlp.up_proj],
        [mlp.down_proj],
    ]


class _Layer:
    """One layer: its forward pass, and the backward pass from what the forward pass kept."""

    def __init__(self, layer: Any) -> None:
        attention = layer.self_attn
        self.norms = (layer.input_layernorm, layer.post_attention_layernorm)
        self.head_norms = (getattr(attention, "q_norm", None), getattr(attention, "k_norm", None))
        self.parts = [Adapted(group) for group in _groups(layer)]
        self.heads = Heads(attention.head_dim, attention.scaling, attention.num_key_value_groups)

    def forward(
        self, context: _Context, hidden_NH: Tensor, weights: Sequence[Tensor | None]
    ) -> tuple[Tensor, list[Tensor | None]]:
        """Hidden states after the layer, and what :meth:`backward` needs besides those before."""
        read, out, open_, down = self.parts
        of_read, of_out, of_open, of_down = self._shares(weights)
        heads_NO, low_read = read.forward(normed(self.norms[0], hidden_NH), of_read)
        attended_NA = self._attend(context, heads_NO)
        middle_NH, low_out = out.forward(attended_NA, of_out)
        middle_NH += hidden_NH
        gate_up_NM, low_open = open_.forward(normed(self.norms[1], middle_NH), of_open)
        gate_NM, up_NM = gate_up_NM.chunk(2, -1)
        after_NH, low_down = down.forward(silu(gate_NM).mul_(up_NM), of_down)
        after_NH += middle_NH
        kept = [heads_NO, attended_NA, middle_NH, gate_up_NM, low_read, low_out, low_open, low_down]
        return after_NH, kept

    def backward(
        self,
        context: _Context,
        gradient_NH: Tensor,
        hidden_NH: Tensor,
        kept: Sequence[Any],
        weights: Sequence[Tensor | None],
        asks_hidden: bool,
    ) -> tuple[Tensor | None, list[Tensor | None]]:
        """Gradients of the hidden states before the layer, if asked for, and of ``weights``."""
        heads_NO, attended_NA, middle_NH, gate_up_NM, low_read, low_out, low_open, low_down = kept
        read, out, open_, down = self.parts
        of_read, of_out, of_open, of_down = self._shares(weights)
        asked: Any
        gate_NM, up_NM = gate_up_NM.chunk(2, -1)
        opened_NM = silu(gate_NM)
        asked, to_down = down.backward(gradient_NH, opened_NM * up_NM, low_down, of_down)
        asked = _activated_gradient(gate_NM, up_NM, opened_NM, asked)
        asked, to_open = open_.backward(asked, normed(self.norms[1], middle_NH), low_open, of_open)
        gradient_NH = gradient_NH + _normed_gradient(self.norms[1], middle_NH, asked)
        asked, to_out = out.backward(gradient_NH, attended_NA, low_out, of_out)
        asked = self._attend_gradient(context, heads_NO, asked)
        normed_NH = normed(self.norms[0], hidden_NH)
        asked, to_read = read.backward(asked, normed_NH, low_read, of_read, asks_hidden)
        if asks_hidden:
            gradient_NH += _normed_gradient(self.norms[0], hidden_NH, asked)
        return gradient_NH if asks_hidden else None, [*to_read, *to_out, *to_open, *to_down]

    def _shares(self, weights: Sequence[Tensor | None]) -> list[Sequence[Tensor | None]]:
        """Each part's own of all weights."""
        found, start = [], 0
        for part in self.parts:
            found.append(weights[start : start + part.count])
            start += part.count
        return found

    def _attend(self, context: _Context, heads_NO: Tensor) -> Tensor:
        """What attention gives [N, queries * D]."""
        heads_NhD = self._turned(context, heads_NO)
        found = [level.forward(heads_NhD) for level in context.attention]
        return torch.cat(found) if len(found) > 1 else found[0]

    def _attend_gradient(self, context: _Context, heads_NO: Tensor, asked_NA: Tensor) -> Tensor:
        heads_NhD = self._turned(context, heads_NO)
        into_NhD = torch.zeros_like(heads_NhD)
        for level, attention in zip(context.levels, context.attention, strict=True):
            attention.backward(heads_NhD, asked_NA[level.tokens], into_NhD)
        keys = self._first_value(heads_NhD)
        cos, sin = context.turns
        found_NhD = torch.empty_like(into_NhD)
        found_NhD[:, keys:] = into_NhD[:, keys:]
        _turn(into_NhD[:, :keys], cos, -sin, found_NhD[:, :keys])
        for norm, span in self._normed_heads(heads_NhD):
            given = heads_NO.view_as(found_NhD)[:, span]
            found_NhD[:, span] = _normed_gradient(norm, given, found_NhD[:, span])
        return found_NhD.flatten(1)

    def _turned(self, context: _Context, heads_NO: Tensor) -> Tensor:
        """Queries, keys and values [N, h, D], the first two at their positions."""
        heads_NhD = heads_NO.view(len(heads_NO), -1, self.heads.size)
        keys = self._first_value(heads_NhD)
        found_NhD, given = torch.empty_like(heads_NhD), heads_NhD[:, :keys]
        found_NhD[:, keys:] = heads_NhD[:, keys:]
        parts = [normed(norm, heads_NhD[:, span]) for norm, span in self._normed_heads(heads_NhD)]
        _turn(torch.cat(parts, 1) if parts else given, *context.turns, found_NhD[:, :keys])
        return found_NhD

    def _first_value(self, heads_NhD: Tensor) -> int:
        queries = self.heads.queries(heads_NhD.shape[1])
        return queries + queries // self.heads.queries_a_key

    def _normed_heads(self, heads_NhD: Tensor) -> list[tuple[Any, slice]]:
        """The norms of queries and of keys, if the family has them."""
        queries = self.heads.queries(heads_NhD.shape[1])
        spans = (slice(queries), slice(queries, self._first_value(heads_NhD)))
        return [(n, s) for n, s in zip(self.head_norms, spans, strict=True) if n is not None]


class _LayerPass(torch.autograd.Function):
    """A layer in the graph; ``weights`` are its adapters' parameters."""

    @staticmethod
    def forward(
        ctx: Any, layer: _Layer, context: _Context, hidden_NH: Tensor, *weights: Tensor | None
    ) -> Tensor:
        after_NH, kept = layer.forward(context, hidden_NH, weights)
        if any(ctx.needs_input_grad):
            ctx.layer, ctx.context, ctx.kept = layer, context, len(kept)
            ctx.save_for_backward(hidden_NH, *kept, *weights)
        return after_NH

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        hidden_NH, *saved = ctx.saved_tensors
        kept, weights = saved[: ctx.kept], saved[ctx.kept :]
        to_hidden, to_weights = ctx.layer.backward(
            ctx.context, gradients[0], hidden_NH, kept, weights, ctx.needs_input_grad[2]
        )
        return None, None, to_hidden, *to_weights


def _activated_gradient(
    gate_NM: Tensor, up_NM: Tensor, opened_NM: Tensor, asked_NM: Tensor
) -> Tensor:
    """The gradients of gate and up, side by side, from that of silu(gate) * up."""
    found_NM = gate_NM.new_empty(len(gate_NM), 2 * gate_NM.shape[1])
    to_gate, to_up = found_NM.chunk(2, -1)
    torch.mul(opened_NM, asked_NM, out=to_up)
    _silu_gradient(asked_NM.mul_(up_NM), gate_NM, grad_input=to_gate)
    return found_NM


def _normed_gradient(norm: Any, given: Tensor, asked: Tensor) -> Tensor:
    """The gradient of an RMSNorm's input, from that of its output."""
    wide = given.dtype if given.dtype.itemsize > 2 else torch.float32
    x, scaled = given.to(wide), asked.to(wide) * norm.weight
    inverse = x.square().mean(-1, keepdim=True).add_(norm.variance_epsilon).rsqrt_()
    along = (scaled * x).mean(-1, keepdim=True).mul_(inverse.pow(3))
    found: Tensor = scaled.mul_(inverse).addcmul_(x, along, value=-1.0)
    return found.to(given.dtype)


def _turn(heads: Tensor, cos: Tensor, sin: Tensor, into: Tensor) -> None:
    """Rotary positions (arXiv 2104.09864), in halves as transformers has them; -sin turns back."""
    (first, second), (to_first, to_second) = heads.chunk(2, -1), into.chunk(2, -1)
    half = first.shape[-1]
    cos, sin = cos[..., :half], sin[..., :half]
    torch.mul(first, cos, out=to_first).addcmul_(second, sin, value=-1.0)
    torch.mul(second, cos, out=to_second).addcmul_(first, sin)
