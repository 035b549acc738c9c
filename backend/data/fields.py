"""Reads one field of a row as text, or says what is wrong with it."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from backend.data.formats.row import kind_of
from backend.data.report import Problem

Side = str
# What no one sees: control characters but tab and line ends, and marks that turn the reading order.
INVISIBLE: Final = re.compile("[\x01-\x08\x0b\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
TRAINING: Final = "training"
HELD_OUT: Final = "held_out"
# How files name the two sides of a split.
_SIDES: Final = {
    **dict.fromkeys(("train", "training"), TRAINING),
    **dict.fromkeys(
        ("test", "testing", "validation", "valid", "val", "dev", "eval", "evaluation"), HELD_OUT
    ),
    **dict.fromkeys(("held_out", "held-out", "heldout", "holdout"), HELD_OUT),
}


class RowError(Exception):
    """What is wrong with one field of a row."""

    def __init__(self, kind: str, field: str, problem: str, remedy: str) -> None:
        self.kind = kind
        self.field = field
        self.problem = problem
        self.remedy = remedy
        super().__init__(problem)

    def at(self, row: int, content: Any = None) -> Problem:
        return Problem(
            row=row,
            field=self.field,
            problem=self.problem,
            remedy=self.remedy,
            kind=self.kind,
            content=content,
        )


def required_text(value: Any, column: str, remedy: str) -> str:
    """The text of a field that must not be blank. Raises RowError."""
    text = as_text(value, column)
    if text is not None:
        return text
    if value is None:
        raise RowError("missing", column, f'"{column}" is missing', remedy)
    raise RowError("empty", column, f'"{column}" is empty', remedy)


def as_text(value: Any, column: str) -> str | None:
    """Text as it stands, a number as its digits, None for nothing or blanks. Raises RowError."""
    if isinstance(value, str):
        check_characters(value, column)
        return value if value and not value.isspace() else None
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    problem = f'"{column}" is {kind_of(value)}, expected text'
    raise RowError("not_text", column, problem, "write it as text")


def check_characters(text: str, column: str) -> None:
    """Raises RowError for characters that no database and no tokenizer takes."""
    if "\0" in text:
        raise RowError("characters", column, f'"{column}" holds a NUL character', "remove it")
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(text[error.start]):04x}"
        problem = f'"{column}" holds half a character ({half}) at {error.start + 1}'
        raise RowError("characters", column, problem, "write the whole character") from None


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


def known_side(value: Any) -> Side | None:
    """Which side of a split a word such as ``train`` or ``validation`` means, if any."""
    return _SIDES.get(value.strip().casefold()) if isinstance(value, str) else None


def as_side(value: Any, column: str) -> Side:
    """Whether a row is for training or held out. Raises RowError for any other word."""
    side = known_side(value)
    if side is None:
        text = as_text(value, column)
        found = f'"{column}" is "{text[:40]}"' if text else f'"{column}" is empty'
        raise RowError("split", column, found, "write train, validation or test")
    return side


def _texts(values: list[Any], column: str) -> tuple[str, ...]:
    texts = (as_text(entry, column) for entry in values)
    return tuple(text for text in texts if text is not None)
