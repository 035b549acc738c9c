"""Tokenizers for the pages."""

from __future__ import annotations

from backend.config import Settings
from backend.models.on_disk import folder_on_disk
from backend.text.tokenizer import TextTokenizer, tokenizer_of


def tokenizer_on_disk(model: str, settings: Settings) -> TextTokenizer | None:
    """The model's tokenizer; None while it is not on this disk. Raises ModelError for no model."""
    folder = folder_on_disk(model, settings.home)
    return tokenizer_of(folder) if folder and (folder / "tokenizer.json").is_file() else None
