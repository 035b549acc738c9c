"""A text and all that may follow it, as one row: what several continuations share stands once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class Branches:
    """A context's tokens, then those of a trie of its continuations, depth first.

    Of each token its position, and where the tokens that follow on it end. ``predicting`` are, for
    each continuation, the places whose hidden states predict its tokens; nothing is predicted from
    its last one, which is left out. The first ``skipped`` tokens of the context have been read.
    """

    ids: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    predicting: list[list[int]] = field(default_factory=list)

    @property
    def is_line(self) -> bool:
        """Whether each token follows on the one before it."""
        return all(end == len(self.ids) for end in self.ends)


def branches(
    context: Sequence[int], continuations: Sequence[Sequence[int]], skipped: int = 0
) -> Branches:
    """The row of a context, of which at least one token is left to read, and its continuations."""
    row = Branches([*context[skipped:]], [*range(skipped, len(context))])
    row.predicting = [[] for _ in continuations]
    length = len(row.ids)
    path: list[int] = []
    ends: dict[int, int] = {}
    # In order, those that begin alike are neighbours: each node is made once.
    for which in sorted(range(len(continuations)), key=lambda place: tuple(continuations[place])):
        read = continuations[which][:-1]
        alike = 0
        while alike < min(len(path), len(read)) and row.ids[path[alike]] == read[alike]:
            alike += 1
        ends |= dict.fromkeys(path[alike:], len(row.ids))
        del path[alike:]
        for depth in range(alike, len(read)):
            path.append(len(row.ids))
            row.ids.append(read[depth])
            row.positions.append(len(context) + depth)
        row.predicting[which] = [length - 1, *path][: len(continuations[which])]
    row.ends = [ends.get(place, len(row.ids)) for place in range(len(row.ids))]
    return row


def side_by_side(
    rows: Sequence[Branches], pad_id: int, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Ids and positions [B, L], padded at the right, and what sees what [B, L, L]."""
    longest = max(len(row.ids) for row in rows)

    def padded(values: Sequence[Sequence[int]], padding: int) -> Tensor:
        filled = [[*each, *[padding] * (longest - len(each))] for each in values]
        return torch.tensor(filled, device=device)

    ids_BL = padded([row.ids for row in rows], pad_id)
    positions_BL = padded([row.positions for row in rows], 0)
    ends_BL = padded([row.ends for row in rows], longest)
    place_L = torch.arange(longest, device=device)
    came_before_LL = place_L <= place_L[:, None]
    return ids_BL, positions_BL, came_before_LL & (place_L[:, None] < ends_BL[:, None])
