"""Guesses at what rows will write: several tokens are checked at once, and the right ones kept.

Speculative sampling (arXiv 2211.17192) whose draft is a text that is at hand, such as the row's
demonstration. Each token is drawn as it would be anyway; a draft only says which may be drawn
together, so that what is written does not depend on it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from operator import mul
from typing import Final, Literal, NamedTuple

# What one more token costs, as a share of a pass with one token: of 53 ms on 2 CPU cores, each of
# the first 16 tokens took 0.6, and each of those behind 1.9.
_CHEAP_TOKENS: Final = 16
_CHEAP_COST, _COST = 0.012, 0.035
# What it costs that rows are offered anything, however little: their lengths differ then.
_ANY_COST: Final = 0.15
_LONGEST: Final = 16
# How far ahead a draft is searched for what was written instead.
_SEARCHED: Final = 8
# How many tokens before it say which token comes next in other rows' drafts, at most.
_CONTEXT: Final = 3
# As if so many guesses had been judged before, and such a share of them been right: of a row that
# follows its draft, of one that has left it and is where others' drafts were, and of one that is
# nowhere, which is offered what its draft would say if a word were another.
Kind = Literal["draft", "phrase", "place"]
_JUDGED: Final = 4.0
_RIGHT: Final[dict[Kind, float]] = {"draft": 0.75, "phrase": 0.4, "place": 0.4}

Guess = tuple[int, Kind]


class Phrases:
    """What follows a few tokens in the drafts of a batch."""

    def __init__(self, texts: Sequence[Sequence[int]]) -> None:
        self._next: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        for ids in texts:
            for place, token in enumerate(ids):
                for length in range(1, min(_CONTEXT, place) + 1):
                    self._next[tuple(ids[place - length : place])][token] += 1

    def after(self, ids: Sequence[int]) -> int | None:
        """The most frequent token after as many of the last tokens as are known together."""
        for length in range(min(_CONTEXT, len(ids)), 0, -1):
            found = self._next.get(tuple(ids[-length:]))
            if found is not None:
                return found.most_common(1)[0][0]
        return None


class Draft:
    """A text that a row may follow, and where in it the row is, if it does."""

    def __init__(self, ids: Sequence[int] = (), phrases: Phrases | None = None) -> None:
        self._ids = ids
        self._phrases = phrases or Phrases([])
        self._place = _Place(0, 0)
        self._written: list[int] = []
        self._instead: list[tuple[int, int]] = []

    def miss(self, instead: Sequence[tuple[int, int]]) -> None:
        """Behind a wrong token, what was offered and what was drawn instead."""
        self._instead = [*instead]

    def see(self, token: int) -> None:
        """The row wrote ``token``: the next one of the draft, or one of those behind it."""
        self._place = self._after(self._place, token)
        self._written = [*self._written, token][-_CONTEXT:]
        self._instead = self._instead[1:]

    def ahead(self, most: int) -> list[Guess]:
        """What may come next, and why; where the row writes something else, what others' say."""
        guesses: list[Guess] = []
        place, written = self._place, self._written
        while self._ids and len(guesses) < most:
            following = self._phrases.after(written) if place.missed else None
            at = place.anchor + place.missed
            if following is None and at >= len(self._ids):
                break
            token = self._ids[at] if following is None else following
            kind: Kind = "phrase" if following is not None else "place" if place.missed else "draft"
            if len(guesses) < len(self._instead):
                offered, drawn = self._instead[len(guesses)]
                token = drawn if token == offered else token
            guesses.append((token, kind))
            place, written = self._after(place, token), [*written, token][-_CONTEXT:]
        return guesses

    def _after(self, place: _Place, token: int) -> _Place:
        near = [*self._ids[place.anchor : place.anchor + _SEARCHED]]
        if token in near:
            return _Place(place.anchor + near.index(token) + 1, 0)
        return _Place(place.anchor, place.missed + 1)


class _Place(NamedTuple):
    """Behind the last token of a draft that was written, and how many others were since."""

    anchor: int
    missed: int


class Guessing:
    """How many tokens ahead it pays to check, from how many were right so far."""

    def __init__(self) -> None:
        self._right = {kind: share * _JUDGED for kind, share in _RIGHT.items()}
        self._judged = dict.fromkeys(_RIGHT, _JUDGED)

    def learn(self, offered: Sequence[Guess], right: int) -> None:
        """Of the ``offered`` tokens the first ``right`` were right, and those behind not judged."""
        for place, (_, kind) in enumerate(offered[: right + 1]):
            self._right[kind] += place < right
            self._judged[kind] += 1

    def offers(self, drafts: Sequence[Draft], rooms: Sequence[int]) -> list[list[Guess]]:
        """What each row's draft says next, in ``rooms`` at most; as far as it pays.

        A token that is right saves the row a pass, which it shares with all rows that write on.
        """
        ahead = [
            draft.ahead(min(_LONGEST, room)) for draft, room in zip(drafts, rooms, strict=True)
        ]
        # The likeliest tokens first, of all rows.
        worth = sorted(
            (-chance, row) for row, guesses in enumerate(ahead) for chance in self._chances(guesses)
        )
        depths, spared = [0] * len(drafts), -_ANY_COST
        for read, (chance, row) in enumerate(worth, len(drafts)):
            cost = _CHEAP_COST if read < _CHEAP_TOKENS else _COST
            if -chance < cost * len(drafts):
                break
            depths[row] += 1
            spared += -chance / len(drafts) - cost
        if spared <= 0:
            return [[] for _ in drafts]
        return [guesses[:depth] for guesses, depth in zip(ahead, depths, strict=True)]

    def _chances(self, guesses: Sequence[Guess]) -> Iterator[float]:
        """How likely each is right with all before it."""
        return accumulate((self._right[kind] / self._judged[kind] for _, kind in guesses), mul)
