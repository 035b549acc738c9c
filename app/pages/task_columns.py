"""Which columns a person chose on the preview of a file, one change after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

# Turns hold prompt and answer themselves: who chooses one gives up the other.
_TURNS: Final = "messages"
_TEXTS: Final = ("prompt", "input", "demonstration")
_NO_COLUMN: Final = "-"
_MOST: Final = 50


def chosen_columns(before: Any, wish: Any) -> dict[str, str]:
    """The columns chosen before with one more: ``{"role": ..., "column": ...}``.

    ``{"columns": {...}}`` takes other choices in place of all; none goes back to the guesses.
    """
    wish = wish if isinstance(wish, Mapping) else {}
    if "columns" in wish:
        return _texts(wish["columns"])
    role, column = str(wish.get("role") or ""), str(wish.get("column") or _NO_COLUMN)
    others = () if column == _NO_COLUMN else _others(role)
    kept = {name: told for name, told in _texts(before).items() if name not in (role, *others)}
    return {**kept, role: column} if role else kept


def _others(role: str) -> tuple[str, ...]:
    if role == _TURNS:
        return _TEXTS
    return (_TURNS,) if role in _TEXTS else ()


def _texts(given: Any) -> dict[str, str]:
    """Of what came from a browser only texts under names."""
    pairs = given.items() if isinstance(given, Mapping) else ()
    texts = {
        name: told
        for name, told in pairs
        if isinstance(name, str) and isinstance(told, str) and told
    }
    return dict(list(texts.items())[:_MOST])
