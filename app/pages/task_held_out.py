"""Which rows the upload form wants held out: its fields, read. None of them is a path of a user."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from app.pages.task_source import uploaded
from backend.errors import DataError
from backend.lab import Chosen, HeldOut, Together

AUTO: Final = "auto"
SHARE: Final = "share"
NUMBER: Final = "number"
FILE: Final = "file"
TAG: Final = "tag"
GROUP: Final = "group"
WAYS: Final = (
    ("As the file says, else 20 % of the rows", AUTO),
    ("A share of the rows", SHARE),
    ("A number of rows", NUMBER),
    ("A file of its own", FILE),
    ("Rows with a tag", TAG),
    ("Rows of a group", GROUP),
)
TOGETHER: Final[tuple[tuple[str, Together], ...]] = (
    ("Rows of one prompt or one group", "group"),
    ("Rows of one prompt", "prompt"),
    ("Rows of one prompt or one first tag", "tag"),
)
_SHARE: Final = re.compile(r"0?\.\d{1,6}|[01]\.\d{0,6}")
_PERCENT: Final = re.compile(r"(\d{1,2}(?:\.\d{1,4})?) ?%")
# Browsers keep whole numbers exactly up to here.
_LARGEST_SEED: Final = 2**53


def read_held_out(by: Any, amount: Any, names: Any, apart: Any) -> HeldOut:
    """What is held out, by one of WAYS. Raises DataError, whose ``where`` is ``held_out``."""
    ways: Mapping[str, Callable[[], HeldOut]] = {
        AUTO: lambda: None,
        SHARE: lambda: read_share(amount),
        NUMBER: lambda: read_number(amount),
        FILE: lambda: uploaded(apart, "held_out"),
        TAG: lambda: Chosen("tag", _names(names, TAG)),
        GROUP: lambda: Chosen("group", _names(names, GROUP)),
    }
    if by not in ways:
        raise DataError("no way is chosen", where="held_out", remedy="choose one of the list")
    return ways[by]()


def read_share(given: Any) -> float:
    """``0.2``, ``.2``, ``0,2`` or ``20 %``. Raises DataError."""
    text = _text(given).replace(",", ".")
    if _SHARE.fullmatch(text):
        return float(text)
    percent = _PERCENT.fullmatch(text)
    if percent:
        return float(percent[1]) / 100
    raise DataError(
        f'"{text[:40]}" is no share' if text else "no share is given",
        where="held_out",
        remedy="write one such as 0.2 or 20 %",
    )


def read_number(given: Any) -> int:
    """A number of rows. Raises DataError."""
    text = _text(given)
    if re.fullmatch(r"\d{1,9}", text, re.ASCII):
        return int(text)
    raise DataError(
        f'"{text[:40]}" is no number of rows' if text else "no number is given",
        where="held_out",
        remedy="write one such as 40",
    )


def read_share_or_number(given: Any) -> float | int:
    """A whole number of rows where it is one, else a share. Raises DataError."""
    try:
        return read_number(given)
    except DataError:
        pass
    try:
        return read_share(given)
    except DataError as error:
        text = _text(given)
        raise DataError(
            f'"{text[:40]}" is neither a share nor a number of rows' if text else "none is given",
            where=error.where,
            remedy="write a share such as 0.2, or a number of rows such as 40",
        ) from error


def read_together(given: Any) -> Together:
    """What is never parted. Raises DataError."""
    for _, name in TOGETHER:
        if given == name:
            return name
    raise DataError("nothing is chosen", where="together", remedy="choose one of the list")


def read_seed(given: Any) -> int:
    """A whole number. Raises DataError."""
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if is_number and abs(given) <= _LARGEST_SEED and given == int(given):
        return int(given)
    raise DataError("the seed is no whole number", where="seed", remedy="write one such as 0")


def _names(given: Any, by: str) -> tuple[str, ...]:
    """Names that were chosen or written; commas may stand in them."""
    listed = given if isinstance(given, list) else []
    names = tuple(name.strip() for name in listed if isinstance(name, str) and name.strip())
    if not names:
        raise DataError(
            f"no {by} is named", where="held_out", remedy=f"choose a {by}, or write its name"
        )
    return names


def _text(given: Any) -> str:
    return str(given if given is not None else "").strip()
