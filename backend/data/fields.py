"""Reads one field of a row as text, or says what is wrong with it."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from backend.data.formats.row import kind_of
from backend.data.report import Problem

_HALF_CHARACTER: Final = re.compile("[\ud800-\udfff]")


class RowError(Exception):
    """What is wrong with one field of a row."""

    def __init__(self, kind: str, field: str, problem: str, remedy: str) -> None:
        self.kind = kind
        self.field = field
        self.problem = problem
        self.remedy = remedy
        super().__init__(problem)

    def at(self, row: int) -> Problem:
        return Problem(
            row=row, field=self.field, problem=self.problem, remedy=self.remedy, kind=self.kind
        )


def required_text(value: Any, column: str, remedy: str) -> str:
    """The text of a field that must not be blank. Raises RowError."""
    if value is None:
        raise RowError("missing", column, f'"{column}" is missing', remedy)
    text = as_text(value, column)
    if text is None:
        raise RowError("empty", column, f'"{column}" is empty', remedy)
    return text


def as_text(value: Any, column: str) -> str | None:
    """Text as it stands, a number as its digits, None for nothing or blanks. Raises RowError."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if value is None:
        return None
    if not isinstance(value, str):
        problem = f'"{column}" is {kind_of(value)}, expected text'
        raise RowError("not_text", column, problem, "write it as text")
    check_characters(value, column)
    return value if value.strip() else None


def check_characters(text: str, column: str) -> None:
    """Raises RowError for characters that no database and no tokenizer takes."""
    if "\0" in text:
        raise RowError("characters", column, f'"{column}" holds a NUL character', "remove it")
    half = _HALF_CHARACTER.search(text)
    if half:
        problem = f'"{column}" holds half a character (\\u{ord(half[0]):04x}) at {half.start() + 1}'
        raise RowError("characters", column, problem, "write the whole character")


def as_reference(value: Any, column: str) -> str | tuple[str, ...] | None:
    """One right answer, or several. Raises RowError."""
    if isinstance(value, list):
        return _texts(value, column) or None
    return as_text(value, column)


def as_tags(value: Any, column: str) -> tuple[str, ...]:
    """A list of tags, also where they stand in one text, parted by commas. Raises RowError."""
    if not isinstance(value, list):
        value = (as_text(value, column) or "").split(",")
    return tuple(tag.strip() for tag in _texts(value, column))


def _texts(values: list[Any], column: str) -> tuple[str, ...]:
    texts = (as_text(entry, column) for entry in values)
    return tuple(text for text in texts if text is not None)
