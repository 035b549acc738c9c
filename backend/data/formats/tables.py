"""Rows of Arrow's batches: lists and structures become JSON's lists and objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import pyarrow

from backend.data.formats.row import Row, faulty
from backend.data.report import FileError, Problem

BATCH_ROWS: Final = 512
# Few long rows at a time, too: packed well, a small file can hold gigabytes.
_BATCH_BYTES: Final = 32 << 20


class Reached:
    """The number of the last row that was read, for what is told where reading ends."""

    def __init__(self) -> None:
        self.row = 0


@contextmanager
def told_in_words(kind: str, reached: Reached) -> Iterator[None]:
    """Raises FileError for what pyarrow finds wrong with a file of this kind."""
    try:
        yield
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = (str(error).splitlines() or ["no reason given"])[0].rstrip(".")
        place = f" after row {reached.row:,}" if reached.row else ""
        raise FileError(
            "torn",
            f"the {kind} file cannot be read{place} ({reason})",
            "write or fetch it again: it may have been cut off",
        ) from error


def check_names(names: Sequence[str]) -> None:
    """Raises FileError where two columns have one name."""
    for name in names:
        if names.count(name) > 1:
            raise FileError("header", f'two columns are named "{name[:40]}"', "rename one of them")


def rows_of(batch: Any, reached: Reached) -> Iterator[Row | Problem]:
    """The rows of a batch of any size, numbered on from ``reached``."""
    step = max(1, min(BATCH_ROWS, batch.num_rows * _BATCH_BYTES // max(batch.nbytes, 1)))
    for start in range(0, batch.num_rows, step):
        part = batch.slice(start, step)
        before = reached.row
        reached.row += part.num_rows
        try:
            values = part.to_pylist()
        except UnicodeDecodeError:
            # Writers may put any bytes into a text column: find the rows that hold them.
            for place in range(part.num_rows):
                yield _one_row(part.slice(place, 1), before + place + 1)
            continue
        for place, fields in enumerate(values, before + 1):
            yield Row(place, fields)


def _one_row(batch: Any, number: int) -> Row | Problem:
    try:
        return Row(number, batch.to_pylist()[0])
    except UnicodeDecodeError as error:
        return faulty(
            number, "encoding", f"a text is not UTF-8 ({error.reason})", "write it as UTF-8"
        )
