"""Attention among the tokens of a tree: who sees whom, forward and backward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from backend.models.llama import Heads, added_to_scores

# 16 MiB of them in fp32, which a processor's cache may hold.
_FEW_SCORES: Final = 1 << 22


@dataclass(frozen=True)
class Level:
    """S segments of up to Q tokens that see up to P tokens read before, and their own so far.

    Their own tokens are neighbours in the sequence: ``tokens`` of it, of which segment after
    segment ``place_n`` are the places in S x Q (None: all, no segment is shorter than others).
    ``before_SP`` are the places in the sequence of those read before, ``sees_SQK`` (S may be 1)
    tells who sees whom of P and Q together; both are None where nothing was read before.
    """

    tokens: slice
    segments: int
    length: int
    place_n: Tensor | None
    before_SP: Tensor | None
    sees_SQK: Tensor | None


@dataclass(frozen=True)
class FlatTokens:
    """N tokens with their positions, level after level."""

    ids_N: Tensor
    positions_N: Tensor
    levels: Sequence[Level]


class LevelAttention:
    """Softmax attention of one level's tokens.

    Where few tokens see few, all scores are written down: on a CPU torch's kernel, which never has
    them all, takes twice as long there.
    """

    def __init__(self, level: Level, heads: Heads, dtype: torch.dtype) -> None:
        self._level, self._heads = level, heads
        self._bias: Tensor | None = None
        if level.sees_SQK is not None:
            # Queries that share a key are rows of one product.
            sees = level.sees_SQK[:, None].repeat(1, 1, heads.queries_a_key, 1)
            self._bias = added_to_scores(sees, dtype)

    def forward(self, heads_NhD: Tensor) -> Tensor:
        """What the level's n tokens attend to, [n, queries * D]."""
        query, keys = self._inside(heads_NhD)
        if self._is_small(query, keys):
            found = self._joined(torch.matmul(self._shares(query, keys), _keys_and_values(keys)[1]))
        else:
            found = self._attended(query, keys)
        return self._outside(found.flatten(2))

    def backward(self, heads_NhD: Tensor, gradient_nA: Tensor, into_NhD: Tensor) -> None:
        """Adds the heads' gradients to ``into_NhD``; attention is computed once more."""
        level, queries = self._level, self._heads.queries(heads_NhD.shape[1])
        inside = self._inside(heads_NhD)
        asked_SQqD = self._padded(gradient_nA).view_as(inside[0])
        if self._is_small(*inside):
            query, keys = self._small_gradients(*inside, asked_SQqD)
        else:
            given = [each.detach().requires_grad_() for each in inside]
            with torch.enable_grad():
                found = self._attended(*given)
            query, keys = torch.autograd.grad(found, given, asked_SQqD)
        before = 0 if level.before_SP is None else level.before_SP.shape[1]
        own = torch.cat([query, keys[:, before:]], 2)
        into_NhD[level.tokens] += self._outside(own)
        if level.before_SP is not None:
            into_NhD[:, queries:].index_add_(
                0, level.before_SP.flatten(), keys[:, :before].flatten(0, 1)
            )

    def _is_small(self, query_SQqD: Tensor, keys_SKkD: Tensor) -> bool:
        """Whether all scores are few, and exact enough to be added up."""
        segments, length, heads, _ = query_SQqD.shape
        scores = segments * length * heads * keys_SKkD.shape[1]
        is_exact = query_SQqD.is_cpu and query_SQqD.dtype.itemsize > 2
        return is_exact and self._bias is not None and scores <= _FEW_SCORES

    def _shares(self, query_SQqD: Tensor, keys_SKkD: Tensor) -> Tensor:
        """What each query's attention gives to each key, [S, k, rows, K]."""
        assert self._bias is not None
        key, _ = _keys_and_values(keys_SKkD)
        query = self._grouped(query_SQqD) * self._heads.scale
        return torch.matmul(query, key.transpose(2, 3)).add_(self._bias).softmax(-1)

    def _small_gradients(
        self, query_SQqD: Tensor, keys_SKkD: Tensor, asked_SQqD: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Those of the queries [S, Q, q, D], and of the keys and values [S, K, 2 k, D]."""
        shares = self._shares(query_SQqD, keys_SKkD)
        (key, value), asked = _keys_and_values(keys_SKkD), self._grouped(asked_SQqD)
        to_value = torch.matmul(shares.transpose(2, 3), asked)
        to_shares = torch.matmul(asked, value.transpose(2, 3))
        to_scores = torch._softmax_backward_data(to_shares, shares, -1, shares.dtype)
        to_scores *= self._heads.scale
        to_query = self._joined(torch.matmul(to_scores, key))
        to_key = torch.matmul(to_scores.transpose(2, 3), self._grouped(query_SQqD))
        return to_query, torch.cat([to_key, to_value], 1).transpose(1, 2)

    def _grouped(self, query_SQqD: Tensor) -> Tensor:
        """[S, k, rows, D]: queries that share a key are rows of one product."""
        segments, length, heads, size = query_SQqD.shape
        groups = self._heads.queries_a_key
        rows = query_SQqD.transpose(1, 2)
        return rows.reshape(segments, heads // groups, groups * length, size)

    def _joined(self, rows_SkRD: Tensor) -> Tensor:
        """[S, Q, q, D] again."""
        segments, _, _, size = rows_SkRD.shape
        return rows_SkRD.reshape(segments, -1, self._level.length, size).transpose(1, 2)

    def _inside(self, heads_NhD: Tensor) -> tuple[Tensor, Tensor]:
        """The level's queries [S, Q, q, D], and the keys and values [S, P + Q, k, D] they see."""
        level, queries = self._level, self._heads.queries(heads_NhD.shape[1])
        own = self._padded(heads_NhD[level.tokens])
        query, keys = own[:, :, :queries], own[:, :, queries:]
        if level.before_SP is None:
            return query, keys
        before = heads_NhD[:, queries:].index_select(0, level.before_SP.flatten())
        before = before.view(*level.before_SP.shape, *before.shape[1:])
        return query, torch.cat([before, keys], 1)

    def _attended(self, query_SQqD: Tensor, keys_SKkD: Tensor) -> Tensor:
        """[S, Q, q, D]."""
        key, value = _keys_and_values(keys_SKkD)
        if self._bias is None:
            groups = self._heads.queries_a_key
            query = query_SQqD.transpose(1, 2)
            key, value = (each.repeat_interleave(groups, 1) for each in (key, value))
        else:
            query = self._grouped(query_SQqD)
        found = scaled_dot_product_attention(
            query, key, value, self._bias, is_causal=self._bias is None, scale=self._heads.scale
        )
        return self._joined(found)

    def _padded(self, rows: Tensor) -> Tensor:
        """[S, Q, ...] of the level's n rows; zeros where a segment is shorter."""
        shape = (self._level.segments, self._level.length, *rows.shape[1:])
        if self._level.place_n is None:
            return rows.view(shape)
        padded = rows.new_zeros(shape)
        padded.flatten(0, 1).index_copy_(0, self._level.place_n, rows)
        return padded

    def _outside(self, padded: Tensor) -> Tensor:
        """The level's n rows out of [S, Q, ...]."""
        rows = padded.flatten(0, 1)
        place_n = self._level.place_n
        return rows if place_n is None else rows.index_select(0, place_n)


def attended(levels: Sequence[LevelAttention], heads_NhD: Tensor) -> Tensor:
    """What the tokens of all levels attend to, [N, queries * D]."""
    found = [level.forward(heads_NhD) for level in levels]
    return torch.cat(found) if len(found) > 1 else found[0]


def _keys_and_values(keys_SKkD: Tensor) -> Sequence[Tensor]:
    """Keys and values, each [S, k, K, D]."""
    return keys_SKkD.transpose(1, 2).chunk(2, 1)
