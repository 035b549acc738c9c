"""What Llama-shaped networks have besides products: which they are, norms, heads and positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.functional import rms_norm
from transformers import LlamaModel, MistralModel, Qwen2Model, Qwen3Model

_KINDS: Final = frozenset({LlamaModel, MistralModel, Qwen2Model, Qwen3Model})
_KERNEL: Final = "sdpa"

# Cosines and sines of tokens' positions, each [N, 1, D]; the first half of sines is negative.
Turns = tuple[Tensor, Tensor]


def is_llama(backbone: Any) -> bool:
    """Whether the network is made of the layers that this module knows."""
    config = backbone.config
    return (
        type(backbone) in _KINDS and config._attn_implementation == _KERNEL and not _slides(config)
    )


def _slides(config: Any) -> bool:
    kinds = getattr(config, "layer_types", None)
    if kinds is not None:
        return any(kind != "full_attention" for kind in kinds)
    return getattr(config, "sliding_window", None) is not None


def joined_layers(layer: Any) -> list[list[nn.Module]]:
    """A layer's linear layers, those with one input together."""
    attention, mlp = layer.self_attn, layer.mlp
    return [
        [attention.q_proj, attention.k_proj, attention.v_proj],
        [attention.o_proj],
        [mlp.gate_proj, mlp.up_proj],
        [mlp.down_proj],
    ]


def turns_of(rotary: Any, hidden_NH: Tensor, positions_N: Tensor) -> Turns:
    """What queries and keys at these positions are turned by."""
    cos, sin = (each[0, :, None] for each in rotary(hidden_NH, positions_N[None]))
    half = cos.shape[-1] // 2
    return cos, torch.cat([-sin[..., :half], sin[..., half:]], -1)


@dataclass(frozen=True)
class Heads:
    """How a token's heads lie: all queries, then the keys, then the values, each of one size.

    Some families have a norm of queries and one of keys.
    """

    size: int
    scale: float
    queries_a_key: int
    norms: tuple[Any, Any] = (None, None)

    @classmethod
    def of(cls, attention: Any) -> Heads:
        """Those of a transformers layer's attention."""
        norms = (getattr(attention, "q_norm", None), getattr(attention, "k_norm", None))
        return cls(
            attention.head_dim, attention.scaling, attention.num_key_value_groups, norms
        )  # fmt: skip

    def queries(self, heads: int) -> int:
        """How many of a token's heads are queries."""
        return heads // (self.queries_a_key + 2) * self.queries_a_key

    def first_value(self, heads: int) -> int:
        """How many of a token's heads are queries or keys."""
        queries = self.queries(heads)
        return queries + queries // self.queries_a_key

    def turned(self, heads_NO: Tensor, turns: Turns) -> Tensor:
        """Queries, keys and values [N, h, D], the first two normed and at their positions.

        Without norms they are turned in place.
        """
        found_NhD = self._unturned(heads_NO)
        turn(found_NhD[:, : self.first_value(found_NhD.shape[1])], turns)
        return found_NhD

    def turned_before(self, heads_NO: Tensor, turns: Turns) -> Tensor:
        """What :meth:`turned` made of heads that have been through it."""
        return self.turned(heads_NO, turns) if self.has_norms else self._unturned(heads_NO)

    def turned_gradient(self, heads_NO: Tensor, asked_NhD: Tensor, turns: Turns) -> Tensor:
        """The gradient of ``heads_NO``, from that of what :meth:`turned` makes, in its place."""
        cos, sin = turns
        turn(asked_NhD[:, : self.first_value(asked_NhD.shape[1])], (cos, -sin))
        for norm, span in self._normed(asked_NhD):
            given = heads_NO.view_as(asked_NhD)[:, span]
            asked_NhD[:, span] = normed_gradient(norm, given, asked_NhD[:, span])
        return asked_NhD.flatten(1)

    @property
    def has_norms(self) -> bool:
        return any(norm is not None for norm in self.norms)

    def _unturned(self, heads_NO: Tensor) -> Tensor:
        """Queries, keys and values [N, h, D], the first two normed if they have norms."""
        heads_NhD = heads_NO.view(len(heads_NO), -1, self.size)
        if not self.has_norms:
            return heads_NhD
        found_NhD = heads_NhD.clone()
        for norm, span in self._normed(heads_NhD):
            found_NhD[:, span] = normed(norm, heads_NhD[:, span])
        return found_NhD

    def _normed(self, heads_NhD: Tensor) -> list[tuple[Any, slice]]:
        """The norms of queries and of keys, if the family has them."""
        heads = heads_NhD.shape[1]
        spans = (
            slice(self.queries(heads)), slice(self.queries(heads), self.first_value(heads)),
        )  # fmt: skip
        return [(n, s) for n, s in zip(self.norms, spans, strict=True) if n is not None]


def turn(heads_NhD: Tensor, turns: Turns) -> None:
    """Rotary positions (arXiv 2104.09864), in halves as transformers has them; -sin turns back."""
    cos, sin = turns
    crossed = heads_NhD.roll(heads_NhD.shape[-1] // 2, -1)
    heads_NhD.mul_(cos).addcmul_(crossed, sin)


def normed(norm: Any, hidden: Tensor) -> Tensor:
    """An RMSNorm of the last axis."""
    return rms_norm(hidden, norm.weight.shape, norm.weight, norm.variance_epsilon)


def normed_gradient(norm: Any, given: Tensor, asked: Tensor) -> Tensor:
    """The gradient of an RMSNorm's input, from that of its output."""
    wide = given.dtype if given.dtype.itemsize > 2 else torch.float32
    x, scaled = given.to(wide), asked.to(wide) * norm.weight
    inverse = x.square().mean(-1, keepdim=True).add_(norm.variance_epsilon).rsqrt_()
    along = (scaled * x).mean(-1, keepdim=True).mul_(inverse.pow(3))
    found: Tensor = scaled.mul_(inverse).addcmul_(x, along, value=-1.0)
    return found.to(given.dtype)


def added_to_scores(sees: Tensor, dtype: torch.dtype) -> Tensor:
    """What attention adds to scores, in the shape of ``sees``: nothing where a token is seen."""
    bias = torch.zeros(sees.shape, dtype=dtype, device=sees.device)
    return bias.masked_fill_(~sees, torch.finfo(dtype).min)
