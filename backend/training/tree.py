"""Rows as one sequence: what they share is read once, and nothing is padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor

from backend.models.language_model import LanguageModel
from backend.training.packing import Batch

# Attention is between all tokens of a tree, so that longer ones cost more than padding would.
LONGEST: Final = 512
# The attention kernels of transformers that take any mask.
_KERNELS: Final = frozenset({"sdpa", "eager"})
_NOBODY: Final = -1


@dataclass
class Tree:
    """A trunk that all prompts begin with, the prompts' own branches, and completions on these.

    Of each token its id, its position, and which prompt's and which completion's it is (-1: none's,
    but shared). ``predicting`` are the places whose hidden states predict completions, row by row.
    """

    ids: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    prompts: list[int] = field(default_factory=list)
    completions: list[int] = field(default_factory=list)
    predicting: list[int] = field(default_factory=list)

    def grow(self, ids: Sequence[int], first: int, prompt: int, completion: int) -> int:
        """Adds tokens from position ``first`` on; returns the place of the first one."""
        place = len(self.ids)
        self.ids += ids
        self.positions += range(first, first + len(ids))
        self.prompts += [prompt] * len(ids)
        self.completions += [completion] * len(ids)
        return place

    def mask_LL(self, device: torch.device) -> Tensor:
        """True where the token of a row may look at the token of a column."""
        position, prompt, completion = (
            torch.tensor(each, device=device)
            for each in (self.positions, self.prompts, self.completions)
        )
        sees = position <= position[:, None]
        for owner in (prompt, completion):
            sees &= (owner == _NOBODY) | (owner == owner[:, None])
        return sees


def tree_of(batch: Batch, distinct: Sequence[Sequence[int]], shared: int) -> Tree:
    """The batch's rows, whose prompts are ``distinct`` ones that begin with ``shared`` tokens.

    A completion's last token predicts nothing and is left out.
    """
    tree, ends = Tree(), {}
    tree.grow(distinct[0][:shared], 0, _NOBODY, _NOBODY)
    for place, prompt in enumerate(distinct):
        tree.grow(prompt[shared:], shared, place, _NOBODY)
        ends[tuple(prompt)] = (place, len(tree.ids) - 1)
    for row, (prompt, ids) in enumerate(zip(batch.prompts, batch.completions, strict=True)):
        owner, end = ends[tuple(prompt)]
        first = tree.grow(ids[:-1], len(prompt), owner, row)
        tree.predicting += [end, *range(first, first + len(ids) - 1)][: len(ids)]
    return tree


def can_read(model: LanguageModel) -> bool:
    """Whether the model's attention takes a mask as it is given."""
    return model.network.config._attn_implementation in _KERNELS


def read_tree(model: LanguageModel, tree: Tree) -> Tensor:
    """Hidden states [N, H] at the predicting places."""
    device = model.compute.device
    hidden_dtype = model.network.get_input_embeddings().weight.dtype
    bias_LL = torch.zeros(len(tree.ids), len(tree.ids), dtype=hidden_dtype, device=device)
    bias_LL.masked_fill_(~tree.mask_LL(device), torch.finfo(hidden_dtype).min)
    hidden_LH = model.backbone(
        input_ids=torch.tensor([tree.ids], device=device),
        attention_mask=bias_LL[None, None],
        position_ids=torch.tensor([tree.positions], device=device),
        use_cache=False,
    ).last_hidden_state[0]
    found: Tensor = hidden_LH[torch.tensor(tree.predicting, device=device)]
    return found
