"""Finds held-out rows that are nearly training rows: most words of their prompts are the same."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from backend.data.demonstration import Demonstration
from backend.data.report import count_of

# Words in both prompts beside words in either (Jaccard). Below five words, one word is a lot.
LIKENESS: Final = 0.8
_WORD: Final = re.compile(r"\w+")
# Scripts that write without spaces give few words: their letters are compared in pairs.
_LONG_WORD: Final = 16
_TOLD_EVERY: Final = 500
_SHOWN: Final = 60


class Near(NamedTuple):
    """A held-out row and the training row that it is most like, of those that were compared."""

    held_out: int
    training: int
    likeness: float
    held_out_text: str
    training_text: str


def near_duplicates(
    training: Sequence[Demonstration],
    held_out: Sequence[Demonstration],
    told: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[Near]:
    """For each held-out row that is nearly a training row, the first such row.

    Exact, by prefixes: two sets of words as alike as that share one of their rarest words, so only
    rows that do are compared (Chaudhuri, Ganti, Kaushik 2006: A primitive operator for similarity
    joins). ``told`` hears how many training rows are done, and may raise to end it.
    """
    sets = [_words(row) for row in held_out]
    frequency = Counter(word for words in sets for word in words)
    index: dict[str, list[int]] = defaultdict(list)
    for place, words in enumerate(sets):
        for word in _rarest(words, frequency):
            index[word].append(place)
    open_places = set(range(len(sets)))
    total = len(training)
    for done, row in enumerate(training):
        if done % _TOLD_EVERY == 0:
            told(done, total)
        words = _words(row)
        candidates = {
            place
            for word in _rarest(words, frequency)
            for place in index.get(word, ())
            if place in open_places
        }
        for place in sorted(candidates):
            likeness = _likeness(words, sets[place])
            if likeness >= LIKENESS:
                open_places.discard(place)
                apart = held_out[place]
                yield Near(apart.row, row.row, likeness, apart.prompt, row.prompt)
        if not open_places:
            return
    told(total, total)


def near_words(found: Sequence[Near]) -> str:
    """What is told of near-duplicates, with the first as an example."""
    if not found:
        return "no held-out row is nearly one of the training rows"
    near = found[0]
    return (
        f"{count_of(len(found), 'held-out row')} nearly {'stands' if len(found) == 1 else 'stand'} "
        f"among the training rows, so that their scores may tell of memory rather than skill: "
        f"row {near.held_out} is {near.likeness:.0%} like row {near.training} "
        f"({near.held_out_text[:_SHOWN]!r} beside {near.training_text[:_SHOWN]!r}); "
        "group them, or take one side out"
    )


def _words(row: Demonstration) -> frozenset[str]:
    text = " ".join(turn.content for turn in row.messages).casefold()
    return frozenset(_parts(_WORD.findall(text)))


def _parts(words: Iterable[str]) -> Iterator[str]:
    for word in words:
        if len(word) <= _LONG_WORD:
            yield word
        else:
            yield from (word[at : at + 2] for at in range(len(word) - 1))


def _rarest(words: frozenset[str], frequency: Counter[str]) -> list[str]:
    """As many of the rarest words as two sets that are alike cannot both do without."""
    count = len(words) - math.ceil(LIKENESS * len(words)) + 1
    return sorted(words, key=lambda word: (frequency[word], word))[:count] if words else []


def _likeness(one: frozenset[str], other: frozenset[str]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)
