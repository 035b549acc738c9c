"""Makes demonstrations of knowledge from passages of text: a beginning, and how it goes on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from backend.data.formats.passages import HEADING, PASSAGE
from backend.data.formats.row import Row, faulty
from backend.data.report import Problem

_SENTENCE: Final = re.compile(r"(?<=[.!?…。！？])\s+")
# Without a sentence's end, as much of a passage is its beginning.
_OPENING_SHARE: Final = 3
_LEAST_WORDS: Final = 6


def from_passage(row: Row) -> Iterator[Row | Problem]:
    """A row that asks to continue the passage, or the problem that nothing can be continued."""
    heading, passage = (str(row.fields.get(name) or "") for name in (HEADING, PASSAGE))
    opening, rest = _parted(passage)
    if not rest:
        yield faulty(
            row.number,
            "short",
            f"the passage has fewer than {_LEAST_WORDS} words, so there is nothing to continue",
            "join it with the next one, or remove it",
            row.fields,
        )
        return
    about = f' about "{heading}"' if heading else ""
    prompt = f"Continue this text{about}:\n\n{opening}"
    yield Row(row.number, {"prompt": prompt, "demonstration": rest, "heading": heading})


def _parted(passage: str) -> tuple[str, str]:
    """The first sentence and the rest; the first third of the words where there is no end."""
    opening, *rest = _SENTENCE.split(passage.strip(), maxsplit=1)
    if rest and rest[0].strip():
        return opening, rest[0]
    words = passage.split()
    if len(words) < _LEAST_WORDS:
        return passage, ""
    cut = len(words) // _OPENING_SHARE
    return " ".join(words[:cut]), " ".join(words[cut:])
