"""What a tokenizer's piece looks like to a reader: bytes and word marks undone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

_WORD_MARK: Final = "\N{LOWER ONE EIGHTH BLOCK}"
_BYTE_PIECE: Final = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def uses_bytes(tokenizer: Mapping[str, Any]) -> bool:
    """Whether pieces spell bytes (GPT-2's alphabet), by the decoder in a tokenizer.json."""
    decoder = tokenizer.get("decoder") or {}
    parts = [decoder, *decoder.get("decoders", [])]
    return any(part.get("type") == "ByteLevel" for part in parts)


def visible_piece(piece: str, spells_bytes: bool) -> str:
    """``Ġthe`` and ``▁the`` as `` the``; bytes that are no whole character as ``\\xf0``."""
    alphabet = _byte_alphabet()
    if spells_bytes and all(letter in alphabet for letter in piece):
        return bytes(alphabet[letter] for letter in piece).decode(errors="backslashreplace")
    single = _BYTE_PIECE.fullmatch(piece)
    if single:
        return bytes.fromhex(single[1]).decode(errors="backslashreplace")
    return piece.replace(_WORD_MARK, " ")


@cache
def _byte_alphabet() -> dict[str, int]:
    """GPT-2's letters for bytes: printable Latin-1 stands for itself, the rest follows from 256."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = {chr(byte): byte for byte in printable}
    others = [byte for byte in range(256) if byte not in set(printable)]
    return letters | {chr(256 + i): byte for i, byte in enumerate(others)}
