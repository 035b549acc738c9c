"""Reads Parquet in batches; lists and structures become JSON's lists and objects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow
import pyarrow.parquet

from backend.data.formats.row import Row, faulty
from backend.data.report import FileError, Problem

_BATCH_ROWS: Final = 512


def read_parquet(path: Path) -> Iterator[Row | Problem]:
    """Rows in order. Raises FileError where the file is torn or uses an unknown feature."""
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            _check_names(file.schema_arrow.names)
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                yield from _rows(batch, number)
                number += batch.num_rows
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        place = f" after row {number:,}" if number else ""
        raise FileError(
            "torn",
            f"the Parquet file cannot be read{place} ({reason})",
            "write or fetch it again: it may have been cut off",
        ) from error


def _check_names(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise FileError("header", f'two columns are named "{name[:40]}"', "rename one of them")


def _rows(batch: Any, before: int) -> Iterator[Row | Problem]:
    try:
        for place, fields in enumerate(batch.to_pylist(), before + 1):
            yield Row(place, fields)
    except UnicodeDecodeError:
        # Writers may put any bytes into a text column: find the rows that hold them.
        for place in range(batch.num_rows):
            yield _one_row(batch.slice(place, 1), before + place + 1)


def _one_row(batch: Any, number: int) -> Row | Problem:
    try:
        return Row(number, batch.to_pylist()[0])
    except UnicodeDecodeError as error:
        return faulty(
            number, "encoding", f"a text is not UTF-8 ({error.reason})", "write it as UTF-8"
        )
