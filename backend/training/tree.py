"""Rows as one sequence: what they share is read once, and nothing is padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor

from backend.models.language_model import LanguageModel
from backend.models.llama import added_to_scores
from backend.models.segments import FlatTokens, Level
from backend.training.packing import Batch

# A mask is between all tokens of a tree, so that longer ones cost more than padding would.
LONGEST: Final = 512
# The attention kernels of transformers that take any mask.
_KERNELS: Final = frozenset({"sdpa", "eager"})


@dataclass(frozen=True)
class Segment:
    """Tokens that follow each other, from ``place`` in the sequence and ``position`` on.

    They see those of the segments ``before`` them, which stand on each other.
    """

    place: int
    length: int
    position: int
    before: tuple[Segment, ...]

    @property
    def places(self) -> range:
        return range(self.place, self.place + self.length)


@dataclass
class Tree:
    """A trunk that all prompts begin with, the prompts' own branches, and completions on these.

    A prompt's only completion is part of its branch. ``paths`` are the places of each row's prompt
    and completion, ``predicting`` those whose hidden states predict completions, row by row.
    """

    ids: list[int] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    paths: list[list[int]] = field(default_factory=list)
    predicting: list[int] = field(default_factory=list)

    def grow(self, ids: Sequence[int], before: tuple[Segment, ...] = ()) -> Segment:
        """Adds tokens that follow on the last of the segments ``before``."""
        position = sum(segment.length for segment in before)
        segment = Segment(len(self.ids), len(ids), position, before)
        self.ids += ids
        if ids:
            self.segments.append(segment)
        return segment

    @property
    def positions(self) -> list[int]:
        return [
            position
            for segment in self.segments
            for position in range(segment.position, segment.position + segment.length)
        ]

    def mask_LL(self, device: torch.device) -> Tensor:
        """True where the token of a row may look at the token of a column."""
        sees = torch.zeros(len(self.ids), len(self.ids), dtype=torch.bool, device=device)
        for segment in self.segments:
            rows = slice(segment.place, segment.place + segment.length)
            for earlier in segment.before:
                sees[rows, earlier.place : earlier.place + earlier.length] = True
            sees[rows, rows].fill_(True).tril_()
        return sees

    def flat(self, device: torch.device) -> FlatTokens:
        """The tokens with their segments, those that stand equally high together."""
        return FlatTokens(
            torch.tensor(self.ids, device=device),
            torch.tensor(self.positions, device=device),
            [_level(segments, device) for segments in self._by_height()],
        )

    def _by_height(self) -> Iterator[list[Segment]]:
        heights = [len(segment.before) for segment in self.segments]
        for height in sorted(set(heights)):
            yield [s for s, own in zip(self.segments, heights, strict=True) if own == height]


def tree_of(batch: Batch, distinct: Sequence[Sequence[int]], shared: int) -> Tree:
    """The batch's rows, whose prompts are ``distinct`` ones that begin with ``shared`` tokens.

    A completion's last token predicts nothing and is left out. Segments that stand on equally many
    others are neighbours.
    """
    tree = Tree()
    rows_of: dict[tuple[int, ...], list[int]] = {tuple(prompt): [] for prompt in distinct}
    for row, prompt in enumerate(batch.prompts):
        rows_of[tuple(prompt)].append(row)
    trunk = (tree.grow(distinct[0][:shared]),) if shared else ()
    standing: list[tuple[Segment, ...]] = [()] * len(batch.prompts)
    forks = []
    for prompt, rows in rows_of.items():
        only = batch.completions[rows[0]][:-1] if len(rows) == 1 else ()
        branch = tree.grow([*prompt[shared:], *only], trunk)
        standing[rows[0]] = (*trunk, branch)
        forks += [(row, (*trunk, branch)) for row in rows if len(rows) > 1]
    for row, before in forks:
        standing[row] = (*before, tree.grow(batch.completions[row][:-1], before))
    for segments, prompt, ids in zip(standing, batch.prompts, batch.completions, strict=True):
        path = [place for segment in segments for place in segment.places]
        tree.paths.append(path)
        tree.predicting += path[len(prompt) - 1 :][: len(ids)]
    return tree


def can_mask(model: LanguageModel) -> bool:
    """Whether the model's attention takes a mask as it is given."""
    return model.network.config._attn_implementation in _KERNELS


def tree_inputs(model: LanguageModel, tree: Tree) -> dict[str, Tensor]:
    """The tokens as a model reads them as one row: ids, positions, what is added to scores."""
    device, dtype = model.compute.device, model.network.get_input_embeddings().weight.dtype
    bias_LL = added_to_scores(tree.mask_LL(device), dtype)
    return {
        "input_ids": torch.tensor([tree.ids], device=device),
        "attention_mask": bias_LL[None, None],
        "position_ids": torch.tensor([tree.positions], device=device),
    }


def read_tree(model: LanguageModel, tree: Tree) -> Tensor:
    """Hidden states [N, H] at the predicting places."""
    read = model.backbone(**tree_inputs(model, tree), use_cache=False)
    places_N = torch.tensor(tree.predicting, device=model.compute.device)
    found: Tensor = read.last_hidden_state[0, places_N]
    return found


def _level(segments: Sequence[Segment], device: torch.device) -> Level:
    """Segments that stand on equally many others, as attention reads them."""
    lengths = [segment.length for segment in segments]
    longest, first = max(lengths), segments[0].place
    tokens = slice(first, first + sum(lengths))
    real_SQ = _up_to(lengths, longest, device)
    place_n = None if bool(real_SQ.all()) else real_SQ.flatten().nonzero().squeeze(-1)
    if not segments[0].before:
        return Level(tokens, len(segments), longest, place_n, None, None)
    before = [[place for each in s.before for place in each.places] for s in segments]
    counts = [len(places) for places in before]
    padded = [[*places, *[0] * (max(counts) - len(places))] for places in before]
    # Where all see equally many tokens before their own, all see alike.
    counts = counts if len(set(counts)) > 1 else counts[:1]
    sees_before = _up_to(counts, len(padded[0]), device)[:, None].expand(-1, longest, -1)
    sees_own = _up_to(range(1, longest + 1), longest, device).expand(len(counts), -1, -1)
    return Level(
        tokens, len(segments), longest, place_n, torch.tensor(padded, device=device),
        torch.cat([sees_before, sees_own], 2),
    )  # fmt: skip


def _up_to(counts: Sequence[int], longest: int, device: torch.device) -> Tensor:
    """[S, longest]: True at the first so many places of each row."""
    return torch.arange(longest, device=device) < torch.tensor(counts, device=device)[:, None]
