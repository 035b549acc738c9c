"""Guesses at what rows will write: several tokens are checked at once, and the right ones kept.

Speculative sampling (arXiv 2211.17192) whose draft is a text that is at hand, such as the row's
demonstration. Each token is drawn as it would be anyway; a draft only says which may be drawn
together, so that what is written does not depend on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

# What one more token of all rows costs, as a share of a pass with one token each, over the rows: on
# 2 CPU cores, 8 rows took 52 ms with one token and 125 with eight.
_TOKEN_COST: Final = 0.025
_LONGEST: Final = 16
# How far ahead a draft is searched for what was written instead.
_SEARCHED: Final = 8
# As if so many tokens had been judged before, and so many of them been right.
_JUDGED, _RIGHT = 4.0, 3.0


class Draft:
    """A text that a row may follow, and where in it the row is, if it does."""

    def __init__(self, ids: Sequence[int] = ()) -> None:
        self._ids = ids
        self._place = 0
        self._follows = False

    def see(self, token: int) -> None:
        """The row wrote ``token``: the next one of the draft, or one of those behind it."""
        near = [*self._ids[self._place : self._place + _SEARCHED]]
        self._follows = token in near
        if self._follows:
            self._place += near.index(token) + 1

    def ahead(self, most: int) -> list[int]:
        """The next tokens; none while the row writes something else."""
        return [*self._ids[self._place : self._place + most]] if self._follows else []


class Guessing:
    """How many tokens ahead it pays to check, from how many were right so far."""

    def __init__(self) -> None:
        self._right, self._judged = _RIGHT, _JUDGED

    def learn(self, offered: int, right: int) -> None:
        """Of ``offered`` tokens the first ``right`` were right, and those behind not judged."""
        self._right += right
        self._judged += min(right + 1, offered)

    def offers(self, drafts: Sequence[Draft], rooms: Sequence[int]) -> list[list[int]]:
        """What each row's draft says next, in ``rooms`` at most; as far as it pays for the batch.

        All rows of a pass are as long as the longest: one token more costs as much for each.
        """
        ahead = [
            draft.ahead(min(_LONGEST, room)) for draft, room in zip(drafts, rooms, strict=True)
        ]
        chance, depth = self._right / self._judged, 0
        while (
            sum(len(ids) > depth for ids in ahead) * chance ** (depth + 1)
            > _TOKEN_COST * len(ahead) ** 2
        ):
            depth += 1
        return [ids[:depth] for ids in ahead]
