"""Reads JSONL: one object a line; the row's number is the line's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, TextIO

from backend.data.files import check_text
from backend.data.formats.position import Position, open_text
from backend.data.formats.row import MAX_ROW_CHARS, Row, faulty, object_row
from backend.data.formats.strict_json import JsonError, StrictDecoder, parse
from backend.data.report import Problem

# What is kept of a row that is too long to be read.
_SHOWN_OF_LONG: Final = 1000


def read_jsonl(path: Path, position: Position | None = None) -> Iterator[Row | Problem]:
    """Rows and faulty lines in order; empty lines are passed over."""
    check_text(path, rows_are_lines=True)
    # Universal newlines: a bare CR ends a line too, and stands in no JSON text.
    with open_text(path, position) as file:
        decoder = StrictDecoder()
        number = 0
        while line := file.readline(MAX_ROW_CHARS):
            number += 1
            if len(line) == MAX_ROW_CHARS and not line.endswith("\n"):
                _skip_line(file)
                yield faulty(
                    number,
                    "too_long",
                    f"the row is longer than {MAX_ROW_CHARS:,} characters",
                    "shorten or remove it",
                    line[:_SHOWN_OF_LONG],
                )
            elif not line.isspace():
                yield _read_line(number, line, decoder)


def _read_line(number: int, line: str, decoder: StrictDecoder) -> Row | Problem:
    try:
        return object_row(number, parse(line, decoder))
    except JsonError as fault:
        return faulty(number, fault.kind, fault.problem, fault.remedy, line.rstrip("\n"))


def _skip_line(file: TextIO) -> None:
    while part := file.readline(MAX_ROW_CHARS):
        if part.endswith("\n"):
            return
