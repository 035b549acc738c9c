"""Reads Parquet in batches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet

from backend.data.formats.position import Position
from backend.data.formats.row import Row
from backend.data.formats.tables import BATCH_ROWS, Reached, check_names, rows_of, told_in_words
from backend.data.report import Problem


def read_parquet(path: Path, position: Position | None = None) -> Iterator[Row | Problem]:
    """Rows in order. Raises FileError where the file is torn or uses an unknown feature."""
    reached = Reached()
    before = position.bytes if position else 0
    size = path.stat().st_size
    with told_in_words("Parquet", reached), pyarrow.parquet.ParquetFile(path) as file:
        check_names(file.schema_arrow.names)
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            yield from rows_of(batch, reached)
            if position is not None:
                position.bytes = before + size * reached.row // max(file.metadata.num_rows, 1)
