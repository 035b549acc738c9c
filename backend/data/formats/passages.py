"""Reads a corpus of plain text: each row a passage, with the heading that it stands under."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from backend.data.files import check_text
from backend.data.formats.position import Position, open_text
from backend.data.formats.row import Row
from backend.data.report import Problem

HEADING: Final = "heading"
PASSAGE: Final = "passage"
# Paragraphs below one heading are joined until a passage has the one, and parted at the other.
_LEAST_CHARS: Final = 400
_MOST_CHARS: Final = 20_000
_HEADING_LINE: Final = re.compile(r"#{1,6} +(.*?)[ #]*")


def read_passages(path: Path, position: Position | None = None) -> Iterator[Row | Problem]:
    """Passages as ``{"heading", "passage"}``; empty lines part them, and ``#`` opens a heading."""
    check_text(path)
    number = 0
    heading = ""
    passage: list[str] = []
    with open_text(path, position) as file:
        for paragraph in _paragraphs(iter(lambda: file.readline(_MOST_CHARS), "")):
            title = _HEADING_LINE.fullmatch(paragraph)
            if passage and (title or sum(map(len, passage)) >= _LEAST_CHARS):
                number += 1
                yield _row(number, heading, passage)
                passage = []
            if title:
                heading = title[1]
            else:
                passage.append(paragraph)
    if passage:
        yield _row(number + 1, heading, passage)


def _paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """Blocks of lines between empty ones; a heading is a block of its own."""
    block: list[str] = []
    length = 0
    for line in lines:
        text = line.rstrip()
        is_heading = _HEADING_LINE.fullmatch(text) is not None
        if block and (is_heading or not text or length + len(text) > _MOST_CHARS):
            yield "\n".join(block)
            block, length = [], 0
        if is_heading:
            yield text
        elif text:
            block.append(text)
            length += len(text)
    if block:
        yield "\n".join(block)


def _row(number: int, heading: str, passage: list[str]) -> Row:
    return Row(number, {HEADING: heading, PASSAGE: "\n\n".join(passage)})
