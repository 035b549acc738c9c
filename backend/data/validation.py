"""From rows to demonstrations: every fault is found and reported, none is guessed away."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain, islice
from typing import Any, Final, TypeVar

from backend.data.demonstration import Demonstration, Message
from backend.data.fields import RowError, as_reference, as_tags, as_text, required_text
from backend.data.formats.row import Row
from backend.data.mapping import ColumnMapping, Target, columns_of, guess_mapping
from backend.data.report import FileError, Findings, Problem
from backend.data.turns import check_prompt, read_turns

Value = TypeVar("Value")
Entry = Row | Problem | FileError
# Readable rows whose names and content the mapping is guessed from, and how far to look for them.
_SAMPLE: Final = 200
_SEARCH: Final = 10_000

_NO_CONVERSATION: Final[tuple[tuple[Message, ...], str]] = ((), "")
_NO_TAGS: Final[tuple[str, ...]] = ()

_read_prompt = partial(required_text, remedy="add a prompt or remove the row")
_read_answer = partial(required_text, remedy="add a response or remove the row")


def validate_rows(
    rows: Iterable[Row | Problem], overrides: Mapping[str, str], findings: Findings
) -> tuple[list[Demonstration], ColumnMapping]:
    """The good rows, and the mapping that they were read by; problems go to ``findings``.

    Raises FileError where the file cannot be read on or no mapping is found.
    """
    stream = _with_fault(rows)
    first = _first_rows(stream)
    sample = [row for row in first if isinstance(row, Row)]
    # Where no row could be read, the rows' own problems say more than a missing column would.
    mapping = ColumnMapping(columns={})
    if sample:
        mapping = guess_mapping(columns_of(sample), sample, overrides)
    return list(_read_all(chain(first, stream), mapping, findings)), mapping


def _with_fault(rows: Iterable[Row | Problem]) -> Iterator[Entry]:
    """The rows, and as last one what ended the reading: it must not hide the rows before it."""
    try:
        yield from rows
    except FileError as error:
        yield error


def _first_rows(stream: Iterator[Entry]) -> list[Entry]:
    first: list[Entry] = []
    good = 0
    for row in islice(stream, _SEARCH):
        first.append(row)
        good += isinstance(row, Row)
        if good == _SAMPLE:
            break
    return first


def _read_all(
    rows: Iterable[Entry], mapping: ColumnMapping, findings: Findings
) -> Iterator[Demonstration]:
    for row in rows:
        if isinstance(row, FileError):
            raise row
        findings.rows_read += 1
        if isinstance(row, Problem):
            findings.add(row)
            continue
        demonstration, problems = read_row(row, mapping)
        for problem in problems:
            findings.add(problem)
        if demonstration is not None:
            yield demonstration


def read_row(row: Row, mapping: ColumnMapping) -> tuple[Demonstration | None, list[Problem]]:
    """The row's demonstration, or one problem for each faulty field."""
    reading = _Reading(row, mapping)
    messages, answer = _conversation(reading)
    reference = reading.field("reference", as_reference, None)
    tags = reading.field("tags", as_tags, _NO_TAGS)
    name = reading.field("id", as_text, None)
    if reading.problems:
        return None, reading.problems
    demonstration = Demonstration(
        id=(name or f"row-{row.number}").strip(),
        row=row.number,
        messages=messages,
        demonstration=answer,
        reference=reference,
        tags=tags,
    )
    return demonstration, []


class _Reading:
    """Reads the fields of one row, and keeps what is wrong with them."""

    def __init__(self, row: Row, mapping: ColumnMapping) -> None:
        self._row = row
        self._mapping = mapping
        self.problems: list[Problem] = []

    def field(self, target: Target, read: Callable[[Any, str], Value], otherwise: Value) -> Value:
        """What ``read`` makes of the target's column; ``otherwise`` without one, or on a fault."""
        column = self._mapping.column(target)
        if column is None:
            return otherwise
        return self.attempt(lambda: read(self._row.fields.get(column), column), otherwise)

    def attempt(self, read: Callable[[], Value], otherwise: Value) -> Value:
        try:
            return read()
        except RowError as error:
            self.problems.append(error.at(self._row.number))
            return otherwise


def _conversation(reading: _Reading) -> tuple[tuple[Message, ...], str]:
    """Prompt and answer, from turns or from two columns, under the row's own system message."""
    messages, answer = reading.field("messages", read_turns, _NO_CONVERSATION)
    if not messages and not reading.problems:
        prompt = reading.field("prompt", _read_prompt, "")
        answer = reading.field("demonstration", _read_answer, "")
        messages = (Message(role="user", content=prompt),)
    system = reading.field("system", as_text, None)
    if system is not None and messages:
        messages = (Message(role="system", content=system), *messages)
        reading.attempt(lambda: check_prompt(messages, "messages"), None)
    return messages, answer
