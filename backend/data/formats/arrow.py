"""Reads Arrow: its file format, and the stream that Hugging Face's datasets are stored in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow
import pyarrow.ipc

from backend.data.formats.position import Position
from backend.data.formats.row import Row
from backend.data.formats.tables import Reached, check_names, rows_of, told_in_words
from backend.data.report import Problem

FILE_MARK: Final = b"ARROW1\0\0"
STREAM_MARK: Final = b"\xff\xff\xff\xff"


def read_arrow(path: Path, position: Position | None = None) -> Iterator[Row | Problem]:
    """Rows in order. Raises FileError where the file is torn."""
    reached = Reached()
    before = position.bytes if position else 0
    with told_in_words("Arrow", reached), pyarrow.memory_map(str(path)) as source:
        for batch in _batches(source):
            # Offsets that lead astray would be followed into foreign memory.
            batch.validate(full=True)
            yield from rows_of(batch, reached)
            if position is not None:
                position.bytes = before + source.tell()


def _batches(source: Any) -> Iterator[Any]:
    mark = source.read(len(FILE_MARK))
    source.seek(0)
    if mark == FILE_MARK:
        reader = pyarrow.ipc.open_file(source)
        check_names(reader.schema.names)
        for place in range(reader.num_record_batches):
            yield reader.get_batch(place)
    else:
        reader = pyarrow.ipc.open_stream(source)
        check_names(reader.schema.names)
        yield from reader
