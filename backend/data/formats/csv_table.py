"""Reads CSV with a header; fields are parted by what parts the header: comma, semicolon or tab."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TextIO

from backend.data.files import check_text
from backend.data.formats.position import Position, open_text
from backend.data.formats.row import MAX_ROW_CHARS, Row, faulty
from backend.data.report import FileError, Problem

_DELIMITERS: Final = ",;\t"


def read_csv(path: Path, position: Position | None = None) -> Iterator[Row | Problem]:
    """Rows below the header and faulty rows in order. Raises FileError for a useless header."""
    check_text(path)
    # The module's own default of 128 KiB would refuse long texts.
    csv.field_size_limit(MAX_ROW_CHARS)
    with open_text(path, position, newline="") as file:
        delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter(file)
        records = csv.reader(file, strict=True, delimiter=delimiter)
        header: list[str] | None = None
        number = 0
        while True:
            try:
                record = next(records, None)
            except csv.Error as error:
                number += header is not None
                yield _broken(number, str(error))
                continue
            if record is None:
                return
            if header is None:
                header = _check_header(record) if record else None
                continue
            number += 1
            if record:
                yield _row(number, header, record)


def _delimiter(file: TextIO) -> str:
    """What parts the header's fields; the file is at its beginning again afterwards."""
    line = file.readline(MAX_ROW_CHARS)
    file.seek(0)
    outside_quotes = "".join(line.split('"')[::2])
    return max(_DELIMITERS, key=outside_quotes.count)


def _check_header(record: list[str]) -> list[str]:
    """Column names; those without one (pandas' index) are named by place."""
    names = [name.strip() or f"column {place}" for place, name in enumerate(record, 1)]
    for name in names:
        if names.count(name) > 1:
            raise FileError(
                "header", f'the header names "{name[:40]}" twice', "rename one of the columns"
            )
    return names


def _row(number: int, header: list[str], record: list[str]) -> Row | Problem:
    if len(record) == len(header):
        return Row(number, dict(zip(header, record, strict=True)))
    fields = f"{len(record)} field{'' if len(record) == 1 else 's'}"
    return faulty(
        number,
        "ragged",
        f"it has {fields}, the header has {len(header)}",
        "put double quotes around text that holds the separator or a line break",
        record,
    )


def _broken(number: int, message: str) -> Problem:
    """The problem of a row; a FileError where the rest of the file was lost with it."""
    if number == 0:
        raise FileError("header", f"the header cannot be read ({message})", "put its quotes right")
    if "unexpected end" in message or "field larger" in message:
        raise FileError(
            "open_quote",
            "a double quote opens a text that never ends",
            "close it, or double each quote inside a text",
            row=number,
        )
    return faulty(
        number, "quotes", f"its quotes are wrong ({message})", "double each quote inside a text"
    )
