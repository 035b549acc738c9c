"""Which column holds what: guessed from names and content with a reason, or told by the user."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, get_args

from backend.config import Frozen
from backend.data.formats.row import Row
from backend.data.report import FileError
from backend.errors import DataError

Target = Literal["prompt", "demonstration", "messages", "reference", "tags", "id", "system"]
TARGETS: Final[tuple[Target, ...]] = get_args(Target)

# Usual names, best first.
_NAMES: Final[Mapping[Target, tuple[str, ...]]] = {
    "messages": ("messages", "conversation", "conversations", "chat", "dialog"),
    "prompt": ("prompt", "question", "instruction", "input", "query", "request", "problem", "user"),
    "demonstration": (
        "demonstration",
        "completion",
        "response",
        "answer",
        "output",
        "golden_response",
        "reply",
        "solution",
        "target",
        "assistant",
    ),
    "system": ("system", "system_prompt", "system_message"),
    "reference": ("reference", "references", "expected", "gold", "ground_truth", "label"),
    "tags": ("tags", "tag", "category", "topic", "group"),
    "id": ("id", "uid", "example_id", "row_id"),
}
_TEXT_TARGETS: Final = ("messages", "prompt", "demonstration", "system")


class ColumnChoice(Frozen):
    """A column and why it was taken."""

    column: str
    reason: str


class ColumnMapping(Frozen):
    """The column of each target that has one; kept with the task."""

    columns: dict[Target, ColumnChoice]
    unused: tuple[str, ...] = ()

    def column(self, target: Target) -> str | None:
        choice = self.columns.get(target)
        return choice.column if choice else None

    @property
    def forgotten(self) -> tuple[str, ...]:
        """Unused columns whose names say that they hold part of a prompt or answer."""
        telling = {name for target in _TEXT_TARGETS for name in _NAMES[target]}
        return tuple(name for name in self.unused if _plain(name) in telling)


def parse_overrides(options: Iterable[str]) -> dict[str, str]:
    """``["prompt=q"]`` as ``{"prompt": "q"}``. Raises DataError for anything else."""
    pairs = {}
    for option in options:
        target, equals, column = option.partition("=")
        if not equals or not column:
            raise DataError(
                f'"{option}" is no mapping', where="--map", remedy="write it as --map prompt=COLUMN"
            )
        pairs[target.strip()] = column
    return pairs


def columns_of(sample: Iterable[Row]) -> list[str]:
    """All names in a sample of rows, in the order in which they first appear."""
    return list(dict.fromkeys(name for row in sample for name in row.fields))


def guess_mapping(
    columns: Sequence[str], sample: Sequence[Row], overrides: Mapping[str, str]
) -> ColumnMapping:
    """A column for each target: the user's word first, then names, then what the rows hold.

    Raises FileError for an unknown target or column, for messages beside a prompt or
    demonstration, and where no prompt or demonstration is found.
    """
    chosen = {
        _known_target(target): ColumnChoice(column=_known(column, columns), reason="your choice")
        for target, column in overrides.items()
    }
    told_texts = {"prompt", "demonstration"} & set(chosen)
    if "messages" in chosen and told_texts:
        raise FileError(
            "mapping",
            f"messages already hold prompt and demonstration, but {min(told_texts)} is mapped too",
            "map either messages, or prompt and demonstration",
        )
    if not told_texts and "messages" not in chosen:
        turns = _find_turns(columns, sample)
        if turns is not None:
            chosen["messages"] = turns
    for target in TARGETS:
        by_name = _find_by_name(target, _free_columns(target, columns, chosen))
        if target not in chosen and by_name is not None and not _is_shadowed(target, chosen):
            chosen[target] = by_name
    _check_complete(chosen, columns)
    taken = {choice.column for choice in chosen.values()}
    return ColumnMapping(columns=chosen, unused=tuple(n for n in columns if n not in taken))


def _free_columns(
    target: Target, columns: Sequence[str], chosen: Mapping[Target, ColumnChoice]
) -> list[str]:
    """Columns that may be guessed for ``target``: a reference may well be the answer, too."""
    is_text = target in _TEXT_TARGETS
    taken = {c.column for other, c in chosen.items() if other in _TEXT_TARGETS or not is_text}
    return [name for name in columns if name not in taken]


def _known_target(name: str) -> Target:
    for target in TARGETS:
        if name == target:
            return target
    raise FileError(
        "mapping",
        f'"{name}" is nothing that a column can be mapped to{_nearest(name, TARGETS)}',
        f"use one of {', '.join(TARGETS)}",
    )


def _known(column: str, columns: Sequence[str]) -> str:
    if column in columns:
        return column
    raise FileError(
        "mapping",
        f'there is no column "{column}"{_nearest(column, columns)}',
        f"the file has {_listed(columns)}",
    )


def _is_shadowed(target: Target, chosen: Mapping[Target, ColumnChoice]) -> bool:
    """Turns hold prompt and demonstration themselves, and are never found by name alone."""
    return target == "messages" or ("messages" in chosen and target in ("prompt", "demonstration"))


def _find_turns(columns: Sequence[str], sample: Sequence[Row]) -> ColumnChoice | None:
    """A column of turns: by its content, the usual names first."""
    usual = [name for name in columns if _plain(name) in _NAMES["messages"]]
    has_texts = all(_find_by_name(target, columns) for target in ("prompt", "demonstration"))
    others = [] if has_texts else [name for name in columns if name not in usual]
    for name in (*usual, *others):
        if any(_holds_turns(row.fields.get(name)) for row in sample):
            return ColumnChoice(column=name, reason="it holds lists of turns")
    return None


def _holds_turns(value: Any) -> bool:
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return False
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _find_by_name(target: Target, columns: Sequence[str]) -> ColumnChoice | None:
    plain = {_plain(name): name for name in reversed(columns)}
    for usual in _NAMES[target]:
        if usual in plain:
            return ColumnChoice(column=plain[usual], reason=f"a usual name for the {target}")
    return None


def _check_complete(chosen: Mapping[Target, ColumnChoice], columns: Sequence[str]) -> None:
    if "messages" in chosen:
        return
    for target in ("prompt", "demonstration"):
        if target not in chosen:
            raise FileError(
                "mapping",
                f"no column is known to hold the {target}; the file has {_listed(columns)}",
                f"say which one with --map {target}=COLUMN",
            )


def _plain(name: str) -> str:
    return name.strip().casefold().replace(" ", "_").replace("-", "_")


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f'; did you mean "{near[0]}"?' if near else ""


def _listed(columns: Sequence[str]) -> str:
    shown = ", ".join(f'"{name[:40]}"' for name in columns[:20])
    more = f" and {len(columns) - 20} more" if len(columns) > 20 else ""
    return f"{shown}{more}" if columns else "no columns"
