"""Faulty rows of checked files, to be downloaded for a while: by an id, never by a path."""

from __future__ import annotations

import re
import secrets
import time
from pathlib import Path
from typing import Final

from app.uploads import UPLOADS

_FOLDER: Final = "faulty"
_KEY: Final = re.compile(r"[0-9a-f]{32}")
_KEPT_S: Final = 3600


def new_place(home: Path) -> tuple[str, Path]:
    """An id that nobody can guess, and the file that is to be written for it."""
    key = secrets.token_hex(16)
    return key, _place(home, key)


def find(home: Path, key: str) -> Path | None:
    """The rows of an id; None where there are none, or no longer."""
    place = _place(home, key) if _KEY.fullmatch(key) else None
    return place if place is not None and place.is_file() else None


def count(place: Path) -> int:
    """How many rows were written; a file without any is removed, and so are those of long ago."""
    for old in place.parent.glob("*.jsonl"):
        if time.time() - old.lstat().st_mtime > _KEPT_S:
            old.unlink(missing_ok=True)
    if not place.is_file():
        return 0
    with place.open("rb") as file:
        rows = sum(1 for _ in file)
    if not rows:
        place.unlink()
    return rows


def _place(home: Path, key: str) -> Path:
    return home / UPLOADS / _FOLDER / f"{key}.jsonl"
