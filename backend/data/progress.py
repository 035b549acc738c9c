"""How far the taking in of a file has come, told along the way to whoever may end it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

Row = TypeVar("Row")
# Told what is being done, to how many rows so far, and of how many where that is known. It is
# called from the work's own thread, and what it raises ends the work.
Progress = Callable[[str, int, int | None], object]

READING: Final = "reading"
COMPARING: Final = "comparing"
STORING: Final = "storing"
EVERY_ROWS: Final = 500


def tell_nobody(_what: str, _done: int, _total: int | None) -> None:
    """For callers who only want the end."""


def counted(
    rows: Iterable[Row], what: str, progress: Progress, total: int | None = None
) -> Iterator[Row]:
    """The rows as they come, told of at the beginning and every 500."""
    progress(what, 0, total)
    for done, row in enumerate(rows, 1):
        yield row
        if done % EVERY_ROWS == 0:
            progress(what, done, total)
