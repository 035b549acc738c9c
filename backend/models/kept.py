"""What the layers keep of the tokens that they read, so that a backward pass can follow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Kept(NamedTuple):
    """Of N tokens what is dear to compute in a layer; norms, rotations and activations are not.

    The hidden states before the layer; queries, keys and values, at their positions, or as they
    are before their norms where they have some; what attention gives; the hidden states between
    attention and MLP; gate and up, side by side.
    """

    hidden_NH: Tensor
    heads_NO: Tensor
    attended_NA: Tensor
    middle_NH: Tensor
    gate_up_NM: Tensor


class Activations:
    """What the layers kept in several passes over different tokens: N of them together.

    It can be read once, from the last layer down, and is gone as far as it has been read.
    """

    def __init__(self) -> None:
        self.count = 0
        self._after: list[Tensor] = []
        self._passes: list[list[Kept]] = []

    def add(self, layers: list[Kept], after_NH: Tensor) -> None:
        """One pass: of each layer what it kept, and the hidden states after the last one."""
        self._passes.append(layers)
        self._after.append(after_NH)
        self.count += len(after_NH)

    def after(self, places_M: Tensor) -> Tensor:
        """The hidden states [M, H] of some tokens after the last layer."""
        found = torch.cat(self._after)[places_M]
        self._after = []
        return found

    def pop(self, places_M: Tensor) -> Kept:
        """What the last layer that is left kept of some tokens."""
        parts = [layers.pop() for layers in self._passes]
        return Kept(*(_chosen(column, places_M) for column in zip(*parts, strict=True)))

    def clear(self) -> None:
        """Lets go of what is left."""
        self._after, self._passes = [], []


def _chosen(parts: Sequence[Tensor], places_M: Tensor) -> Tensor:
    return torch.cat(list(parts)).index_select(0, places_M)
