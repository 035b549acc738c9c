"""Reads a JSON list of objects, or the list under "data", row by row without holding it all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TextIO

from backend.data.files import check_text
from backend.data.formats.position import Position, open_text
from backend.data.formats.row import MAX_ROW_CHARS, Row, faulty, kind_of, object_row
from backend.data.formats.strict_json import Decoded, JsonError, StrictDecoder, syntax_fault
from backend.data.report import FileError, Problem

_CHUNK: Final = 1 << 16
# A literal, number or escape that a chunk's end cuts in two is reported this near to the end.
_MARGIN: Final = 16
_EXPECTED: Final = 'expected a list of objects or {"data": [...]}'
_SHAPE_REMEDY: Final = "write a list, or name the file .jsonl where each line is an object"


def read_json(
    path: Path, position: Position | None = None, chunk_chars: int = _CHUNK
) -> Iterator[Row | Problem]:
    """Rows and faulty elements in order. Raises FileError where the list itself is broken."""
    check_text(path)
    with open_text(path, position) as file:
        text = _Text(file, chunk_chars)
        opening = text.peek()
        if opening == "[":
            yield from _elements(text)
        elif opening == "{":
            yield from _under_data(text)
        elif opening:
            value = text.value(0).value
            raise FileError("shape", f"{_EXPECTED}, found {kind_of(value)}", _SHAPE_REMEDY)
        if text.peek():
            raise text.broken("text after the end", None)


def _elements(text: _Text) -> Iterator[Row | Problem]:
    text.take("[", None)
    if text.peek() == "]":
        text.take("]", None)
        return
    number = 0
    while True:
        number += 1
        decoded = text.value(number)
        if decoded.fault is None:
            yield object_row(number, decoded.value)
        else:
            fault = decoded.fault
            yield faulty(number, fault.kind, fault.problem, fault.remedy, decoded.value)
        if text.peek() == "]":
            text.take("]", number)
            return
        text.take(",", number)


def _under_data(text: _Text) -> Iterator[Row | Problem]:
    text.take("{", None)
    found_list = False
    others: list[str] = []
    while text.peek() != "}":
        name = text.value(None).value
        text.take(":", None)
        if name == "data" and text.peek() == "[":
            found_list = True
            yield from _elements(text)
        else:
            others.append(f'"{str(name)[:40]}" ({kind_of(text.value(None).value)})')
        if text.peek() != "}":
            text.take(",", None)
    text.take("}", None)
    if not found_list:
        found = ", ".join(others[:8]) or "nothing"
        raise FileError("shape", f"{_EXPECTED}, found an object with {found}", _SHAPE_REMEDY)


class _Text:
    """A window on the file that moves forward value by value."""

    def __init__(self, file: TextIO, chunk_chars: int) -> None:
        self._file = file
        self._chunk_chars = chunk_chars
        self._window = ""
        self._at = 0
        self._line = 1
        self._column = 1
        self._decoder = StrictDecoder()

    def peek(self) -> str:
        """The next character that is no white space; "" at the end."""
        while True:
            while self._at < len(self._window) and self._window[self._at] in " \t\r\n":
                self._at += 1
            if self._at < len(self._window):
                return self._window[self._at]
            if not self._read_on():
                return ""

    def take(self, wanted: str, row: int | None) -> None:
        """Steps over ``wanted``. Raises FileError where something else stands."""
        found = self.peek()
        if found != wanted:
            raise self.broken(f"expecting '{wanted}'" if found else "the file is cut off", row)
        self._at += 1

    def value(self, row: int | None) -> Decoded:
        """The next value, read on as far as it goes. Raises FileError."""
        if not self.peek():
            raise self.broken("the file is cut off", row)
        while True:
            try:
                decoded = self._decoder.decode_at(self._window, self._at)
            except JsonError as fault:
                raise FileError(fault.kind, fault.problem, fault.remedy, row=row) from fault
            except json.JSONDecodeError as error:
                place = error.pos - self._at
                if self._is_final(error) or not self._read_on():
                    self._drop_read()
                    self._at = place
                    raise self.broken(error.msg, row) from error
                self._check_length(row)
                continue
            if decoded.end < len(self._window):
                self._at = decoded.end
                return decoded
            # A number at the window's end may go on.
            if not self._read_on():
                self._at = len(self._window)
                return decoded

    def broken(self, message: str, row: int | None) -> FileError:
        """The error for what stands at the present place."""
        self._drop_read()
        kind, problem, _ = syntax_fault(message, f"line {self._line:,}, column {self._column:,}")
        return FileError(kind, problem, "put it right; nothing after it can be read", row=row)

    def _is_final(self, error: json.JSONDecodeError) -> bool:
        """Whether reading on cannot mend it."""
        open_text = error.msg.startswith("Unterminated string")
        return not open_text and error.pos + _MARGIN < len(self._window)

    def _check_length(self, row: int | None) -> None:
        if len(self._window) > 2 * MAX_ROW_CHARS:
            raise FileError(
                "too_long",
                f"a value is longer than {MAX_ROW_CHARS:,} characters, or its text is never closed",
                "shorten it, or close the text",
                row=row,
            )

    def _read_on(self) -> bool:
        self._drop_read()
        # Doubling keeps repeated attempts at a long value linear in its length.
        more = self._file.read(max(self._chunk_chars, len(self._window)))
        self._window += more
        return bool(more)

    def _drop_read(self) -> None:
        read = self._window[: self._at]
        lines = read.count("\n")
        self._line += lines
        self._column = len(read) - read.rfind("\n") if lines else self._column + len(read)
        self._window, self._at = self._window[self._at :], 0
