"""Completions as they were written, and what was computed for their tokens on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.models.kept import Activations
from backend.training.packing import Batch
from backend.training.tree import Tree


@dataclass(frozen=True)
class Written:
    """One completion a prompt, token ids each.

    ``activations`` are there where they were asked for and could be kept: of each row's tokens but
    the last, which was not read, ``paths`` are the places among them.
    """

    prompts: Sequence[Sequence[int]]
    completions: list[list[int]]
    activations: Activations | None = None
    paths: Sequence[Sequence[int]] = ()

    def kept(self, batch: Batch, tree: Tree) -> tuple[Activations, Tensor] | None:
        """The activations, and where in them the tree's tokens are; None if they are of others."""
        same = (self.prompts, self.completions) == (batch.prompts, batch.completions)
        if self.activations is None or not same:
            return None
        found = [0] * len(tree.ids)
        for path, places in zip(self.paths, tree.paths, strict=True):
            for kept, place in zip(path, places, strict=True):
                found[place] = kept
        return self.activations, torch.tensor(found, device=batch.input_ids_BL.device)
