"""Demonstrations in a nameless temporary file, so that a file of any size fits into memory."""

from __future__ import annotations

import json
import weakref
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final, overload

from backend.data.demonstration import Demonstration

_PREFIX: Final = "held-out:"


class Spool:
    """Rows as lines of JSON in the order of their adding; it leaves nothing behind."""

    def __init__(self, folder: Path | None) -> None:
        # No name: what breaks off, even by a kill, leaves no file behind.
        self._file = TemporaryFile(dir=folder if folder and folder.is_dir() else None)  # noqa: SIM115
        # Its rows are handed around: it is closed when nobody holds any of them.
        weakref.finalize(self, self._file.close)
        self._starts = array("q", [0])

    def add(self, line: bytes) -> None:
        """Keeps a row's JSON."""
        self._starts.append(self._starts[-1] + self._file.write(line))

    def lines(self, places: Sequence[int]) -> Iterator[bytes]:
        """The JSON of the rows at ``places``."""
        for place in places:
            start = self._starts[place]
            if self._file.tell() != start:
                self._file.seek(start)
            yield self._file.read(self._starts[place + 1] - start)


class StoredRows(Sequence[Demonstration]):
    """Some of a spool's rows, read when they are asked for."""

    def __init__(self, spool: Spool, places: Sequence[int], prefixed: frozenset[int]) -> None:
        self._spool = spool
        self._places = places
        # Rows of a second file whose ids the first one has, too.
        self._prefixed = prefixed

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Demonstration]:
        return self._read(self._places)

    @overload
    def __getitem__(self, at: int) -> Demonstration: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Demonstration]: ...
    def __getitem__(self, at: int | slice) -> Demonstration | Sequence[Demonstration]:
        if isinstance(at, slice):
            return tuple(self._read(self._places[at]))
        return next(self._read([self._places[at]]))

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def json_texts(self) -> Iterator[str]:
        """The rows as they are stored, each as JSON."""
        for place, line in zip(self._places, self._spool.lines(self._places), strict=True):
            if place in self._prefixed:
                document = json.loads(line)
                yield json.dumps({**document, "id": _PREFIX + document["id"]})
            else:
                yield line.decode()

    def _read(self, places: Sequence[int]) -> Iterator[Demonstration]:
        for place, line in zip(places, self._spool.lines(places), strict=True):
            row = Demonstration.model_validate_json(line)
            if place in self._prefixed:
                row = row.model_copy(update={"id": _PREFIX + row.id})
            yield row
