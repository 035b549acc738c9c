"""The part of Forgetting on sequences: tasks learned one after the other, arms side by side."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from app.components.looks import Query
from backend.errors import SdlabError
from backend.lab import Lab

KEY: Final = "sequence"
_REMEMBERED: Final = 8

Document = dict[str, Any]


def sequence_reader(lab: Lab) -> Callable[[Query], Document]:
    """A function from the page's address to the value of the sequence view."""

    # Pairing hundreds of items takes a moment; it is done anew only when there are new scores.
    @lru_cache(maxsize=_REMEMBERED)
    def words(name: str, scores: tuple[str, ...]) -> Document:
        del scores
        return lab.views.sequence_words(lab.views.sequence(name))

    def read(query: Query) -> Document:
        listed = {"listed": lab.views.sequences(), "chosen": query.get(KEY, "")}
        if not listed["chosen"]:
            return listed
        try:
            found = lab.views.sequence(query[KEY])
            return {**listed, "sequence": {**found, **words(found["id"], _scored(found))}}
        except SdlabError as error:
            return {**listed, "missing": str(error)}

    return read


def _scored(sequence: Document) -> tuple[str, ...]:
    """The ids of all scores that stand in the sequence's matrices."""
    rows = [row for arm in sequence["arms"] for row in (arm["before"], *arm["after"])]
    return tuple(cell["id"] for row in rows for cell in row if cell)
