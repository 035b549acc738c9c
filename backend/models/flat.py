"""Llama-shaped networks over flat tokens, with a backward pass of their own: what a step reads.

All tokens of a batch are rows of one product, whichever prompt they belong to, and nothing is
padding; only attention asks which tokens see which. Of each layer the backward pass finds kept what
is dear to compute, and computes the rest anew. Base weights ask for no gradient. What the same
weights have read before, while they wrote it, is not read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.functional import silu
from transformers.activations import SiLUActivation

from backend.models.adapted import Adapted
from backend.models.kept import Activations, Kept
from backend.models.llama import (
    Heads,
    Turns,
    is_llama,
    joined_layers,
    normed,
    normed_gradient,
    turns_of,
)
from backend.models.segments import FlatTokens, Level, LevelAttention, attended

_SILU = (nn.SiLU, SiLUActivation)
_silu_gradient = torch.ops.aten.silu_backward.grad_input


def serves(backbone: Any) -> bool:
    """Whether a :class:`FlatNetwork` computes what this network does, and its gradients."""
    return is_llama(backbone) and all(
        isinstance(layer.mlp.act_fn, _SILU)
        and not any(parameter.requires_grad for parameter in layer.input_layernorm.parameters())
        and all(Adapted.can_join(group) for group in joined_layers(layer))
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
        context = self._context(tokens)
        with torch.autocast(hidden_NH.device.type, enabled=False):
            for layer in self._layers:
                hidden_NH = _LayerPass.apply(  # type: ignore[no-untyped-call]
                    layer, context, hidden_NH, *layer.weights()
                )
            return normed(self._norm, hidden_NH[places_M])

    def read_before(
        self, tokens: FlatTokens, places_M: Tensor, activations: Activations, order_N: Tensor
    ) -> Tensor:
        """As :meth:`read` where the tokens were read before, by the same weights.

        ``order_N`` are their places in ``activations``, which the backward pass uses up.
        """
        weights = [weight for layer in self._layers for weight in layer.weights()]
        hidden_NH: Tensor = _ReadBefore.apply(  # type: ignore[no-untyped-call]
            self._layers, self._context(tokens), activations, order_N, *weights
        )
        return normed(self._norm, hidden_NH[places_M])

    def _context(self, tokens: FlatTokens) -> _Context:
        like_1H, heads = self._embed.weight[:1], self._layers[0].heads
        turns = turns_of(self._rotary, like_1H, tokens.positions_N)
        levels = [LevelAttention(level, heads, like_1H.dtype) for level in tokens.levels]
        return _Context(turns, tokens.levels, levels)


@dataclass(frozen=True)
class _Context:
    """What all layers share: positions, and the tree's levels."""

    turns: Turns
    levels: Sequence[Level]
    attention: Sequence[LevelAttention]


# What each part's adapters make of its input, x A^T, if it was kept.
_Lows = Sequence[Tensor | None]
_NO_LOWS: Final[_Lows] = (None,) * 4


class _Layer:
    """One layer: its forward pass, and the backward pass from what the forward pass kept."""

    def __init__(self, layer: Any) -> None:
        self._norms = (layer.input_layernorm, layer.post_attention_layernorm)
        self.parts = [Adapted(joined) for joined in joined_layers(layer)]
        self.heads = Heads.of(layer.self_attn)

    @property
    def count(self) -> int:
        """How many weights the adapters have, those that are missing included."""
        return sum(part.count for part in self.parts)

    def weights(self) -> list[Tensor | None]:
        """The adapters' A and B, part after part."""
        return [weight for part in self.parts for weight in part.weights()]

    def forward(
        self, context: _Context, hidden_NH: Tensor, weights: Sequence[Tensor | None]
    ) -> tuple[Tensor, Kept, _Lows]:
        """Hidden states after the layer, and what :meth:`backward` needs."""
        read, out, open_, down = self.parts
        of_read, of_out, of_open, of_down = self._shares(weights)
        heads_NO, low_read = read.forward(normed(self._norms[0], hidden_NH), of_read)
        heads_NhD = self.heads.turned(heads_NO, context.turns)
        attended_NA = attended(context.attention, heads_NhD)
        middle_NH, low_out = out.forward(attended_NA, of_out)
        middle_NH += hidden_NH
        gate_up_NM, low_open = open_.forward(normed(self._norms[1], middle_NH), of_open)
        gate_NM, up_NM = gate_up_NM.chunk(2, -1)
        after_NH, low_down = down.forward(silu(gate_NM).mul_(up_NM), of_down)
        after_NH += middle_NH
        kept = Kept(hidden_NH, heads_NO, attended_NA, middle_NH, gate_up_NM)
        return after_NH, kept, (low_read, low_out, low_open, low_down)

    def backward(
        self,
        context: _Context,
        gradient_NH: Tensor,
        kept: Kept,
        lows: _Lows,
        weights: Sequence[Tensor | None],
        asks_hidden: bool,
    ) -> tuple[Tensor | None, list[Tensor | None]]:
        """Gradients of the hidden states before the layer, if asked for, and of ``weights``."""
        hidden_NH, heads_NO, attended_NA, middle_NH, gate_up_NM = kept
        low_read, low_out, low_open, low_down = lows
        read, out, open_, down = self.parts
        of_read, of_out, of_open, of_down = self._shares(weights)
        asked: Any
        gate_NM, up_NM = gate_up_NM.chunk(2, -1)
        opened_NM = silu(gate_NM)
        asked, to_down = down.backward(gradient_NH, opened_NM * up_NM, low_down, of_down)
        asked = _activated_gradient(gate_NM, up_NM, opened_NM, asked)
        asked, to_open = open_.backward(asked, normed(self._norms[1], middle_NH), low_open, of_open)
        gradient_NH = gradient_NH + normed_gradient(self._norms[1], middle_NH, asked)
        asked, to_out = out.backward(gradient_NH, attended_NA, low_out, of_out)
        asked = self._attend_gradient(context, heads_NO, asked)
        normed_NH = normed(self._norms[0], hidden_NH)
        asked, to_read = read.backward(asked, normed_NH, low_read, of_read, asks_hidden)
        if asks_hidden:
            gradient_NH += normed_gradient(self._norms[0], hidden_NH, asked)
        return gradient_NH if asks_hidden else None, [*to_read, *to_out, *to_open, *to_down]

    def _shares(self, weights: Sequence[Tensor | None]) -> list[Sequence[Tensor | None]]:
        """Each part's own of all weights."""
        found, start = [], 0
        for part in self.parts:
            found.append(weights[start : start + part.count])
            start += part.count
        return found

    def _attend_gradient(self, context: _Context, heads_NO: Tensor, asked_NA: Tensor) -> Tensor:
        heads_NhD = self.heads.turned_before(heads_NO, context.turns)
        into_NhD = torch.zeros_like(heads_NhD)
        for level, attention in zip(context.levels, context.attention, strict=True):
            attention.backward(heads_NhD, asked_NA[level.tokens], into_NhD)
        return self.heads.turned_gradient(heads_NO, into_NhD, context.turns)


class _LayerPass(torch.autograd.Function):
    """A layer in the graph; ``weights`` are its adapters' parameters."""

    @staticmethod
    def forward(
        ctx: Any, layer: _Layer, context: _Context, hidden_NH: Tensor, *weights: Tensor | None
    ) -> Tensor:
        after_NH, kept, lows = layer.forward(context, hidden_NH, weights)
        if any(ctx.needs_input_grad):
            ctx.layer, ctx.context = layer, context
            ctx.save_for_backward(*kept, *lows, *weights)
        return after_NH

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        kept, rest = ctx.saved_tensors[: len(Kept._fields)], ctx.saved_tensors[len(Kept._fields) :]
        lows, weights = rest[: len(_NO_LOWS)], rest[len(_NO_LOWS) :]
        to_hidden, to_weights = ctx.layer.backward(
            ctx.context, gradients[0], Kept(*kept), lows, weights, ctx.needs_input_grad[2]
        )
        return None, None, to_hidden, *to_weights


class _ReadBefore(torch.autograd.Function):
    """All layers in the graph, of whose forward pass everything is there already."""

    @staticmethod
    def forward(
        ctx: Any,
        layers: Sequence[_Layer],
        context: _Context,
        activations: Activations,
        order_N: Tensor,
        *weights: Tensor | None,
    ) -> Tensor:
        ctx.layers, ctx.context, ctx.activations = layers, context, activations
        ctx.save_for_backward(order_N, *weights)
        return activations.after(order_N)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        order_N, *weights = ctx.saved_tensors
        gradient_NH: Tensor | None = gradients[0]
        found: list[Tensor | None] = []
        for layer in reversed(ctx.layers):
            own, weights = weights[-layer.count :], weights[: -layer.count]
            # Below the lowest adapter nothing asks for a gradient.
            asks_hidden = any(weight is not None for weight in weights)
            kept = ctx.activations.pop(order_N)
            gradient_NH, to_own = layer.backward(
                ctx.context, gradient_NH, kept, _NO_LOWS, own, asks_hidden
            )
            found = [*to_own, *found]
            if not asks_hidden:
                break
        ctx.activations.clear()
        return None, None, None, None, *[None] * len(weights), *found


def _activated_gradient(
    gate_NM: Tensor, up_NM: Tensor, opened_NM: Tensor, asked_NM: Tensor
) -> Tensor:
    """The gradients of gate and up, side by side, from that of silu(gate) * up."""
    found_NM = gate_NM.new_empty(len(gate_NM), 2 * gate_NM.shape[1])
    to_gate, to_up = found_NM.chunk(2, -1)
    torch.mul(opened_NM, asked_NM, out=to_up)
    _silu_gradient(asked_NM.mul_(up_NM), gate_NM, grad_input=to_gate)
    return found_NM
