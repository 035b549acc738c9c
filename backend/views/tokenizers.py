"""Tokenizers for the pages, each read once: one of 50,000 tokens takes a fifth of a second."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from backend.config import Settings
from backend.models.on_disk import folder_on_disk
from backend.text.tokenizer import TextTokenizer


def tokenizer_on_disk(model: str, settings: Settings) -> TextTokenizer | None:
    """The model's tokenizer; None while it is not on this disk. Raises ModelError for no model."""
    folder = folder_on_disk(model, settings.home)
    path = folder / "tokenizer.json" if folder else None
    if folder is None or path is None or not path.is_file():
        return None
    return _read(folder, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _read(folder: Path, changed: int) -> TextTokenizer:
    del changed
    return TextTokenizer(folder)
