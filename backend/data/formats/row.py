"""A row as a reader hands it on, before anyone asked what its fields mean."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from backend.data.report import Problem

# A single row beyond this is a fault of the file, and must not fill the memory.
MAX_ROW_CHARS: Final = 16 << 20


class Row(NamedTuple):
    """``number`` counts from 1: lines of JSONL, else rows (a CSV header is not one)."""

    number: int
    fields: dict[str, Any]


def faulty(number: int, kind: str, problem: str, remedy: str, content: Any = None) -> Problem:
    """A problem of a whole row, with what stands there as far as it could be read."""
    return Problem(row=number, field="", problem=problem, remedy=remedy, kind=kind, content=content)


def object_row(number: int, value: Any) -> Row | Problem:
    """A JSON value as a row, or the problem that it is no object."""
    if isinstance(value, dict):
        return Row(number, value)
    return faulty(
        number,
        "not_an_object",
        f'expected an object like {{"prompt": ..., "demonstration": ...}}, found {kind_of(value)}',
        "write one object a row",
        value,
    )


def kind_of(value: Any) -> str:
    """What a value is, in the words of JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    for kind, name in ((str, "text"), (list, "a list"), (dict, "an object"), (bytes, "bytes")):
        if isinstance(value, kind):
            return name
    return f"a {type(value).__name__}"
