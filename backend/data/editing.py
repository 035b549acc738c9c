"""Makes a new version of rows that are stored: some changed by hand, some left out, some added."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from pydantic import Field

from backend.config import Frozen
from backend.data.columns import TARGETS, Target
from backend.data.demonstration import Demonstration
from backend.data.fields import TRAINING, Side
from backend.data.formats.row import Row
from backend.data.gathering import Gathering, Numbers, first_places
from backend.data.mapping import ColumnChoice, ColumnMapping
from backend.data.report import Findings, Problem, ReportedDataError
from backend.data.spool import StoredRows
from backend.data.validation import RowReader
from backend.data.writing import as_row
from backend.errors import DataError

# Rows that are written by hand name their fields as the targets are called.
_PLAIN: Final = ColumnMapping(
    columns={target: ColumnChoice(column=target, reason="") for target in TARGETS}
)
_TEXTS: Final = ("prompt", "demonstration", "messages")


class Changes(Frozen):
    """What is to be done with a version's rows; places count them from 1, training rows first.

    A changed row keeps the fields that are not named; an added one needs a prompt and a
    demonstration, or messages, and may say its ``split``.
    """

    exclude: tuple[int, ...] = ()
    change: dict[int, dict[str, Any]] = Field(default_factory=dict)
    add: tuple[dict[str, Any], ...] = ()


class Edited(NamedTuple):
    """The rows of both sides after the changes."""

    training: StoredRows
    held_out: StoredRows
    content_hash: str


Sided = tuple[Demonstration, Side]


def edit_rows(
    rows: Iterable[Sided], count: int, changes: Changes, scorer: str, scratch: Path | None
) -> Edited:
    """The ``count`` rows of a version with these changes.

    Raises DataError for a place that no row has, and ReportedDataError for rows that are faulty,
    stand there twice, or would stand on both sides.
    """
    for place in (*changes.exclude, *changes.change):
        if not 0 < place <= count:
            raise DataError(
                f"there is no row {place}", where="rows", remedy=f"its rows go from 1 to {count:,}"
            )
    findings = Findings()
    gathered = Gathering(0, scratch, lambda row: row.group, lambda row: False)
    places: list[int] = []
    for place, row, side in _changed(rows, count, changes, findings):
        gathered.add(row, side, 0)
        places.append(place)
    _check(gathered, np.array(places, dtype=np.int64), findings)
    trains, apart = gathered.sides(np.arange(len(gathered)))
    training, held_out = np.flatnonzero(trains), np.flatnonzero(apart)
    if not len(training) or not len(held_out):
        side = "held-out" if len(training) else "training"
        raise DataError(
            f"no {side} row would be left", where="rows", remedy="keep or add at least one"
        )
    return Edited(
        gathered.rows(training),
        gathered.rows(held_out),
        gathered.content_hash(training, held_out, scorer),
    )


def _changed(
    rows: Iterable[Sided], count: int, changes: Changes, findings: Findings
) -> Iterator[tuple[int, Demonstration, Side]]:
    """The rows after the changes, each with its place; faults go to the findings."""
    without = frozenset(changes.exclude)
    highest = 0
    for place, (row, side) in enumerate(rows, 1):
        highest = max(highest, row.row)
        if place in without:
            continue
        if place in changes.change:
            fields = _changed_fields(row, side, changes.change[place])
            made = _made(fields, place, row.row, findings)
            if made is not None:
                yield place, *made
        else:
            yield place, row, side
    for number, fields in enumerate(changes.add, 1):
        fields = {"split": TRAINING, **fields}
        made = _made(fields, count + number, highest + number, findings)
        if made is not None:
            yield count + number, *made


def _made(fields: Mapping[str, Any], place: int, number: int, findings: Findings) -> Sided | None:
    unknown = [name for name in fields if name not in TARGETS]
    if unknown:
        findings.add_row([_problem(place, unknown[0], f'"{unknown[0][:40]}" is no field of a row')])
        return None
    texts: tuple[Target, ...] = (
        ("messages",) if fields.get("messages") else ("prompt", "demonstration")
    )
    columns = {
        target: choice
        for target, choice in _PLAIN.columns.items()
        if target in fields and (target not in _TEXTS or target in texts)
    }
    columns |= {target: _PLAIN.columns[target] for target in texts}
    read = RowReader(ColumnMapping(columns=columns)).read(Row(number, dict(fields)))
    if isinstance(read, list):
        findings.add_row([each.model_copy(update={"row": place}) for each in read])
        return None
    return read.demonstration, read.side or TRAINING


def _changed_fields(row: Demonstration, side: Side, change: Mapping[str, Any]) -> dict[str, Any]:
    """The row's fields with a change; in a conversation, prompt and demonstration are turns."""
    fields = {**_fields(row), "split": side, **change}
    if "messages" in fields and "messages" not in change:
        *turns, question, answer = fields["messages"]
        question = {**question, "content": fields.pop("prompt", question["content"])}
        answer = {**answer, "content": fields.pop("demonstration", answer["content"])}
        fields["messages"] = [*turns, question, answer]
    return fields


def _fields(row: Demonstration) -> dict[str, Any]:
    """A stored row as it can be written by hand again."""
    fields = as_row(row)
    if len(row.messages) == 1:
        del fields["messages"]
        fields |= {"prompt": row.prompt, "demonstration": row.demonstration}
    return fields


def _check(gathered: Gathering, places: Numbers, findings: Findings) -> None:
    """Raises ReportedDataError for faulty rows, doubles, doubled ids and prompts on both sides."""
    everything = np.arange(len(gathered))
    for name, what in (("texts", "it is the same as row {}"), ("id", "it has the id of row {}")):
        _, earliest = first_places(gathered.column(name), everything)
        for at in np.flatnonzero(earliest != everything).tolist():
            findings.add_row([_problem(int(places[at]), "", what.format(places[earliest[at]]))])
    trains, apart = gathered.sides(everything)
    prompts = gathered.column("prompt")
    leaks = np.flatnonzero(trains & np.isin(prompts, prompts[apart]))
    for at in leaks.tolist():
        other = places[np.flatnonzero(apart & (prompts == prompts[at]))[0]]
        text = f"its prompt also stands in the held-out row {other}"
        findings.add_row([_problem(int(places[at]), "prompt", text)])
    if findings.faults:
        report = findings.report(ok=False)
        raise ReportedDataError(report, "rows", report.problems[0])


def _problem(place: int, field: str, text: str) -> Problem:
    remedy = "change it, or leave one of both out"
    if text.endswith("is no field of a row"):
        remedy = f"use {', '.join(TARGETS)}"
    return Problem(row=place, field=field, problem=text, remedy=remedy, kind="edit")
