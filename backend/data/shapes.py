"""Known shapes of rows, and how rows that hold several demonstrations are taken apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from backend.data.columns import PRIVILEGED, plain
from backend.data.corpus import from_passage
from backend.data.formats.passages import HEADING, PASSAGE
from backend.data.formats.row import Row
from backend.data.mapping import ColumnMapping
from backend.data.report import FileError, Problem
from backend.data.toolalpaca import ANSWERS, INSTRUCTIONS, from_api

Expand = Callable[[Row], Iterator[Row | Problem]]


class Shape(NamedTuple):
    """What the rows of a file are, in a word, and how that was seen."""

    name: str
    reason: str


_TOOLALPACA: Final = Shape(
    "toolalpaca", f"each row has {INSTRUCTIONS} and {ANSWERS}: an API with its requests"
)
_TEXT: Final = Shape("text", "plain text: each passage is to be continued from its beginning")


def expansion(columns: Iterable[str]) -> tuple[Expand, Shape] | None:
    """How rows of these columns become demonstrations, where they are none themselves."""
    names = frozenset(columns)
    if names >= {INSTRUCTIONS, ANSWERS}:
        return from_api, _TOOLALPACA
    # A table may have such columns, too, beside a prompt.
    return (from_passage, _TEXT) if names == {HEADING, PASSAGE} else None


def expanded(
    rows: Iterable[Row | Problem | FileError], expand: Expand
) -> Iterator[Row | Problem | FileError]:
    """The rows with each taken apart; what is no row passes through."""
    for row in rows:
        if isinstance(row, Row):
            yield from expand(row)
        else:
            yield row


def name_shape(mapping: ColumnMapping, sample: Sequence[Row]) -> Shape:
    """What rows with this mapping are called."""
    column = mapping.column("messages")
    if column is not None:
        if any(_has_sharegpt_turns(row.fields.get(column)) for row in sample):
            return Shape("sharegpt", f'"{column}" holds turns with "from" and "value"')
        return Shape("messages", f'"{column}" holds turns with "role" and "content"')
    prompt, demonstration = mapping.column("prompt"), mapping.column("demonstration")
    if prompt is None or demonstration is None:
        return Shape("unknown", "no column of prompts or none of demonstrations is known yet")
    if mapping.column("input") or (plain(prompt), plain(demonstration)) == (
        "instruction",
        "output",
    ):
        return Shape("alpaca", "an instruction, perhaps with an input, and its output")
    if plain(demonstration) in (PRIVILEGED, "golden_response"):
        return Shape("trl", f'"{prompt}" with "{demonstration}", as TRL\'s distillation reads it')
    if (plain(prompt), plain(demonstration)) in (
        ("prompt", "completion"),
        ("prompt", "demonstration"),
    ):
        return Shape(f"prompt/{plain(demonstration)}", "the columns have these names")
    return Shape("columns", f'prompts in "{prompt}", demonstrations in "{demonstration}"')


def _has_sharegpt_turns(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and isinstance(value[0], dict)
        and value[0].get("from") is not None
    )
