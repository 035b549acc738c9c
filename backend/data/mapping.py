"""Which column holds what: guessed from names and content with a reason, or told by the user."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from backend.config import Frozen
from backend.data.columns import NAMES, PRIVILEGED, TARGETS, TEXT_TARGETS, Target, plain
from backend.data.fields import known_side
from backend.data.formats.row import Row
from backend.data.report import FileError
from backend.data.turns import holds_turns
from backend.errors import DataError

# The user's word for "nothing holds this".
NO_COLUMN: Final = "-"
YOUR_CHOICE: Final = "your choice"


class ColumnChoice(Frozen):
    """A column and why it was taken."""

    column: str
    reason: str


Choices = Mapping[Target, ColumnChoice]


class ColumnMapping(Frozen):
    """The column of each target that has one; kept with the task."""

    columns: dict[Target, ColumnChoice]
    unused: tuple[str, ...] = ()

    def column(self, target: Target) -> str | None:
        choice = self.columns.get(target)
        return choice.column if choice else None

    @property
    def all_columns(self) -> frozenset[str]:
        """The columns of the file that it was made for."""
        return frozenset((*self.unused, *(choice.column for choice in self.columns.values())))

    @property
    def forgotten(self) -> tuple[str, ...]:
        """Unused columns whose names say that they hold part of a prompt or answer."""
        telling = {name for target in TEXT_TARGETS for name in NAMES[target]}
        return tuple(name for name in self.unused if plain(name) in telling)


class Remembered(NamedTuple):
    """A mapping that was taken before, and where: ``lights@2``."""

    source: str
    mapping: ColumnMapping

    def fits(self, columns: Iterable[str]) -> bool:
        """Whether a file has the same columns as the one that it was made for."""
        return self.mapping.all_columns == frozenset(columns)

    @property
    def choices(self) -> dict[Target, ColumnChoice]:
        """Its columns, with the reason that they were taken before."""
        return {
            target: ColumnChoice(column=choice.column, reason=f"as in {self.source}")
            for target, choice in self.mapping.columns.items()
        }


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
    columns: Sequence[str],
    sample: Sequence[Row],
    overrides: Mapping[str, str],
    remembered: Sequence[Remembered] = (),
) -> ColumnMapping:
    """A column for each target: the user's word first, then names, then what the rows hold.

    What the user says nothing of is taken as it was for the same columns before. Raises FileError
    for an unknown target or column, for messages beside a prompt or demonstration, and where no
    prompt or demonstration is found.
    """
    mapping = draft_mapping(columns, sample, overrides, remembered)
    check_complete(mapping, columns)
    return mapping


def draft_mapping(
    columns: Sequence[str],
    sample: Sequence[Row],
    overrides: Mapping[str, str],
    remembered: Sequence[Remembered] = (),
) -> ColumnMapping:
    """As :func:`guess_mapping`, and also where prompt or demonstration are still missing."""
    told = {_known_target(target): column for target, column in overrides.items()}
    without = {target for target, column in told.items() if column == NO_COLUMN}
    chosen = {
        target: ColumnChoice(column=_known(column, columns), reason=YOUR_CHOICE)
        for target, column in told.items()
        if target not in without
    }
    _check_no_contradiction(chosen)
    searched: Sequence[Target] = TARGETS
    before = next((each.choices for each in remembered if each.fits(columns)), None)
    if before is not None and not _reads_otherwise(before, chosen):
        kept = _kept(before, told, chosen)
        chosen |= kept
        searched = [target for target in TARGETS if target in before and target not in kept]
    elif not {"prompt", "demonstration", "messages"} & set(told):
        turns = _find_turns(columns, sample)
        if turns is not None:
            chosen["messages"] = turns
    for target in searched:
        if target in chosen or target in without or _is_shadowed(target, chosen):
            continue
        found = _find(target, columns, sample, chosen)
        if found is not None:
            chosen[target] = found
    return _made(chosen, columns)


def _reads_otherwise(before: Choices, chosen: Choices) -> bool:
    """Whether one of them reads turns, and the other a prompt or an answer."""
    texts = {"prompt", "input", "demonstration"}
    return ("messages" in before and bool(texts & set(chosen))) or (
        "messages" in chosen and bool(texts & set(before))
    )


def _kept(
    before: Choices, told: Mapping[Target, str], chosen: Choices
) -> dict[Target, ColumnChoice]:
    """Of earlier choices those that the user says nothing of, but for a text read elsewhere now."""
    taken = {choice.column for target, choice in chosen.items() if target in TEXT_TARGETS}
    return {
        target: choice
        for target, choice in before.items()
        if target not in told and not (target in TEXT_TARGETS and choice.column in taken)
    }


def check_complete(mapping: ColumnMapping, columns: Sequence[str]) -> None:
    """Raises FileError unless messages, or both prompt and demonstration, have their column."""
    if "messages" in mapping.columns:
        return
    for target in ("prompt", "demonstration"):
        if target not in mapping.columns:
            raise FileError(
                "mapping",
                f"no column is known to hold the {target}; the file has {_listed(columns)}",
                f"say which one with --map {target}=COLUMN",
            )


def _made(chosen: Choices, columns: Sequence[str]) -> ColumnMapping:
    taken = {choice.column for choice in chosen.values()}
    unused = tuple(name for name in columns if name not in taken)
    return ColumnMapping(columns=dict(chosen), unused=unused)


def _check_no_contradiction(chosen: Choices) -> None:
    texts = {"prompt", "demonstration"} & set(chosen)
    if "messages" in chosen and texts:
        raise FileError(
            "mapping",
            f"messages already hold prompt and demonstration, but {min(texts)} is mapped too",
            "map either messages, or prompt and demonstration",
        )


def _find(
    target: Target,
    columns: Sequence[str],
    sample: Sequence[Row],
    chosen: Choices,
) -> ColumnChoice | None:
    free = _free_columns(target, columns, chosen)
    if target == "input":
        return _find_input(free, chosen)
    found = _find_by_name(target, free)
    if target == "split":
        # Such names often hold something else: what stands in the rows decides.
        told = found and all(
            row.fields.get(found.column) is None or known_side(row.fields[found.column])
            for row in sample
        )
        reason = "it says train, validation or test"
        return ColumnChoice(column=found.column, reason=reason) if found and told else None
    demonstration = chosen.get("demonstration")
    if found is None and target == "reference" and demonstration is not None:
        return _find_answer_beside(demonstration.column, free)
    return found


def _find_input(free: Sequence[str], chosen: Choices) -> ColumnChoice | None:
    """Alpaca's second half of a prompt."""
    prompt = chosen.get("prompt")
    names = {plain(name): name for name in free}
    if prompt is None or plain(prompt.column) != "instruction" or "input" not in names:
        return None
    return ColumnChoice(column=names["input"], reason="it stands beside an instruction")


def _find_answer_beside(column: str, free: Sequence[str]) -> ColumnChoice | None:
    """The answer to score with, where the demonstration is only what the teacher is told."""
    found = _find_by_name("demonstration", free) if plain(column) == PRIVILEGED else None
    reason = "the answer beside a privileged context"
    return ColumnChoice(column=found.column, reason=reason) if found else None


def _free_columns(target: Target, columns: Sequence[str], chosen: Choices) -> list[str]:
    """Columns that may be guessed for ``target``: a reference may well be the answer, too."""
    is_text = target in TEXT_TARGETS
    taken = {c.column for other, c in chosen.items() if other in TEXT_TARGETS or not is_text}
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


def _is_shadowed(target: Target, chosen: Choices) -> bool:
    """Turns hold prompt and demonstration themselves, and are never found by name alone."""
    texts = ("prompt", "input", "demonstration")
    return target == "messages" or ("messages" in chosen and target in texts)


def _find_turns(columns: Sequence[str], sample: Sequence[Row]) -> ColumnChoice | None:
    """A column of turns: by its content, the usual names first."""
    usual = [name for name in columns if plain(name) in NAMES["messages"]]
    has_texts = all(_find_by_name(target, columns) for target in ("prompt", "demonstration"))
    others = [] if has_texts else [name for name in columns if name not in usual]
    others = [name for name in others if plain(name) not in NAMES["tools"]]
    for name in (*usual, *others):
        if any(holds_turns(row.fields.get(name)) for row in sample):
            return ColumnChoice(column=name, reason="it holds lists of turns")
    return None


def _find_by_name(target: Target, columns: Sequence[str]) -> ColumnChoice | None:
    by_name = {plain(name): name for name in reversed(columns)}
    for usual in NAMES[target]:
        if usual in by_name:
            return ColumnChoice(column=by_name[usual], reason=f"a usual name for the {target}")
    return None


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f'; did you mean "{near[0]}"?' if near else ""


def _listed(columns: Sequence[str]) -> str:
    shown = ", ".join(f'"{name[:40]}"' for name in columns[:20])
    more = f" and {len(columns) - 20} more" if len(columns) > 20 else ""
    return f"{shown}{more}" if columns else "no columns"
