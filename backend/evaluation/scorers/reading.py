"""Finds JSON in what a model wrote: the whole text, a fenced block, or the first value in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from backend.data.formats.strict_json import JsonError, StrictDecoder, parse

_WORD: Final = re.compile(r"[\w+-]{1,20}")
_BLOCKS: Final = 20
# Places at which a value is looked for before the text counts as holding none.
_STARTS: Final = 60
_OPENING: Final = re.compile(r"[{\[]")
# How deep a value may be: comparing it goes as deep as this in Python's own stack.
DEEPEST: Final = 100
_LONGEST_INSIDE: Final = 200_000


def fenced_blocks(text: str) -> Iterator[tuple[str, str]]:
    """The language and the content of each block between ``` in a text, the last also unended."""
    for block in text.split("```", 2 * _BLOCKS)[1 : 2 * _BLOCKS : 2]:
        head, _, rest = block.partition("\n")
        language = head.strip().lower()
        is_named = bool(rest) and (not language or _WORD.fullmatch(language) is not None)
        yield (language, rest) if is_named else ("", block)


def find_json(text: str) -> Any:
    """The value of a text that is JSON, or that holds some. Raises JsonError that says why not."""
    try:
        return checked(parse(text))
    except JsonError as error:
        first = error
    for _, block in fenced_blocks(text):
        try:
            return checked(parse(block))
        except JsonError:
            continue
    for value in values_inside(text):
        return value
    raise first


def values_inside(text: str) -> Iterator[Any]:
    """The objects and lists that stand in a text among other words, in order."""
    text, place = text[:_LONGEST_INSIDE], 0
    for _ in range(_STARTS):
        found = _OPENING.search(text, place)
        if found is None:
            return
        place = found.start() + 1
        try:
            decoded = StrictDecoder().decode_at(text, found.start())
            if decoded.fault is None:
                yield checked(decoded.value)
                place = decoded.end
        except (json.JSONDecodeError, JsonError):
            continue


def checked(value: Any, depth: int = 0) -> Any:
    """The value itself. Raises JsonError if it is deeper than can be compared."""
    if depth > DEEPEST:
        raise JsonError("too_deep", "it is nested too deeply", "write it flatter")
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            checked(inner, depth + 1)
    return value
