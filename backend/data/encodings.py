"""Guesses how bytes that are not UTF-8 were encoded, to name it: nothing is decoded by it."""

from __future__ import annotations

import codecs
import re
from typing import Final

WESTERN: Final = "Windows-1252 or Latin-1"
_KANA: Final = re.compile("[\u3040-\u30ff]")
_CYRILLIC_LOWER: Final = re.compile("[\u0430-\u044f\u0451]")
# Korean syllables fill these rows of the table that Chinese characters fill more of.
_SYLLABLE_ROWS: Final = range(0xB0, 0xC9)
_LEAST_SHARE: Final = 0.95


def likely_encoding(data: bytes) -> str:
    """The encoding's name for a text that begins with its first letter beyond ASCII."""
    if _holds(_KANA, data, "shift_jis", least=0.2):
        return "Shift JIS"
    if _holds(_KANA, data, "euc_jp", least=0.2):
        return "EUC-JP"
    if _decoded(data, "gb2312") is not None or _decoded(data, "euc_kr") is not None:
        leads = [byte for byte in data[: len(data) // 2 * 2] if byte >= 0xA1][::2]
        korean = sum(byte in _SYLLABLE_ROWS for byte in leads)
        if len(leads) > 1:
            return "EUC-KR" if korean >= _LEAST_SHARE * len(leads) else "GB 2312 or GB 18030"
    high = sum(byte >= 0xC0 for byte in data)
    plain = sum(bytes([byte]).isalpha() for byte in data)
    if high > max(plain, 2):
        for name, codec in (("Windows-1251", "cp1251"), ("KOI8-R", "koi8_r")):
            if _holds(_CYRILLIC_LOWER, data, codec, least=0.6):
                return name
    return WESTERN


def _holds(letters: re.Pattern[str], data: bytes, codec: str, least: float) -> bool:
    """Whether so many of the characters beyond ASCII are such letters."""
    text = _decoded(data, codec)
    if text is None:
        return False
    others = [letter for letter in text if not letter.isascii()]
    return bool(others) and len(letters.findall(text)) >= least * len(others)


def _decoded(data: bytes, codec: str) -> str | None:
    try:
        # The last character may be cut in two.
        return codecs.getincrementaldecoder(codec)().decode(data)
    except UnicodeDecodeError:
        return None
