"""How far a reader has come in its file, for a bar that grows while rows stream by."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO


class Position:
    """Bytes read so far, over all files that a reader opens."""

    def __init__(self) -> None:
        self.bytes = 0


class _Watched(io.FileIO):
    """A file that counts what is read from it."""

    def __init__(self, path: Path, position: Position) -> None:
        super().__init__(path)
        self._position = position

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer) or 0
        self._position.bytes += count
        return count


@contextmanager
def open_text(
    path: Path, position: Position | None = None, newline: str | None = None
) -> Iterator[TextIO]:
    """A file of UTF-8 text, with or without a byte order mark; ``position`` follows its reading."""
    raw = io.FileIO(path) if position is None else _Watched(path, position)
    with io.TextIOWrapper(
        io.BufferedReader(raw, 1 << 16), encoding="utf-8-sig", newline=newline
    ) as file:
        yield file
