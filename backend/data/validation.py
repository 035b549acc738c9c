"""From rows to demonstrations: every fault is found and reported, none is guessed away."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, Final, NamedTuple

from backend.data.columns import NAMES, Target, plain
from backend.data.demonstration import Demonstration, Message
from backend.data.fields import (
    RowError,
    Side,
    as_reference,
    as_side,
    as_tags,
    as_text,
    required_text,
)
from backend.data.formats.row import Row
from backend.data.mapping import ColumnMapping, Remembered, columns_of, draft_mapping
from backend.data.report import FileError, Findings, Problem, count_of
from backend.data.shapes import Shape, expanded, expansion, name_shape
from backend.data.tools import tools_text
from backend.data.turns import check_prompt, read_answer_turn, read_prompt_turns, read_turns

Entry = Row | Problem | FileError
# Readable rows whose names and content the mapping is guessed from, and how far to look for them.
SAMPLE: Final = 200
_SEARCH: Final = 10_000
# Of long rows fewer: those that are looked at are all in memory at once.
_MOST_CHARACTERS: Final = 16 << 20


class Draft(NamedTuple):
    """The first rows of a file, how they may be read, and the stream of all rows."""

    sample: list[Row]
    columns: list[str]
    mapping: ColumnMapping
    shape: Shape
    rows: Iterator[Entry]


class Read(NamedTuple):
    """A good row, and the side that the file itself puts it on."""

    demonstration: Demonstration
    side: Side | None


def draft(
    rows: Iterable[Entry],
    overrides: Mapping[str, str],
    remembered: Sequence[Remembered] = (),
) -> Draft:
    """Looks at the first rows, and takes those apart that hold several demonstrations.

    Raises FileError for a mapping that names what is not there; one that lacks prompt or
    demonstration is no error yet.
    """
    stream = with_fault(rows)
    first = first_rows(stream)
    sample = [row for row in first if isinstance(row, Row)]
    known = expansion(columns_of(sample))
    everything: Iterator[Entry] = chain(first, stream)
    if known is not None:
        expand, _ = known
        everything = expanded(everything, expand)
        first = first_rows(everything)
        sample = [row for row in first if isinstance(row, Row)]
        everything = chain(first, everything)
    columns = columns_of(sample)
    # Where no row could be read, the rows' own problems say more than a missing column would.
    mapping = ColumnMapping(columns={})
    if sample:
        mapping = draft_mapping(columns, sample, overrides, remembered)
    shape = known[1] if known is not None else name_shape(mapping, sample)
    return Draft(sample, columns, mapping, shape, everything)


def with_fault(rows: Iterable[Entry]) -> Iterator[Entry]:
    """The rows, and as last one what ended the reading: it must not hide the rows before it."""
    try:
        yield from rows
    except FileError as error:
        yield error


def first_rows(stream: Iterator[Entry]) -> list[Entry]:
    """As many of the first rows as a sample and its mapping need."""
    first: list[Entry] = []
    good = characters = 0
    for row in islice(stream, _SEARCH):
        first.append(row)
        good += isinstance(row, Row)
        characters += characters_of(row)
        if good == SAMPLE or characters > _MOST_CHARACTERS:
            break
    return first


def characters_of(entry: Entry) -> int:
    """How many characters a row's fields have, or the content of a faulty one."""
    if isinstance(entry, Row):
        return _characters(entry.fields)
    return _characters(entry.content) if isinstance(entry, Problem) else 0


def _characters(value: Any) -> int:
    """How many characters the texts in a value have."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, Mapping):
        return sum(_characters(inner) for inner in value.values())
    return sum(_characters(inner) for inner in value) if isinstance(value, list | tuple) else 8


def read_rows(
    rows: Iterable[Entry], mapping: ColumnMapping, findings: Findings
) -> Iterator[Read | None]:
    """The good rows, and None for each faulty one, whose problems go to ``findings``.

    Raises FileError where the file cannot be read on.
    """
    reader = RowReader(mapping)
    for row in rows:
        if isinstance(row, FileError):
            raise row
        findings.rows_read += 1
        if isinstance(row, Problem):
            findings.add_row([row])
            yield None
            continue
        if not mapping.columns:
            before = count_of(findings.rows_read - 1, "row")
            raise FileError(
                "mapping",
                f"none of the {before} before it can be read, so no column is known",
                "put the first rows right, or remove them",
                row=row.number,
            )
        findings.saw_columns(row.number, row.fields)
        read = reader.read(row)
        if isinstance(read, list):
            findings.add_row(read)
            yield None
        else:
            yield read


class RowReader:
    """Reads rows by one mapping."""

    def __init__(self, mapping: ColumnMapping) -> None:
        self._steps = [
            (target, column, read)
            for target, read in _FIELDS.items()
            if (column := mapping.column(target)) is not None
        ]

    def read(self, row: Row) -> Read | list[Problem]:
        """The row's demonstration, or one problem for each faulty field."""
        fields = row.fields
        found: dict[Target, Any] = {}
        problems: list[Problem] = []
        for target, column, read in self._steps:
            try:
                found[target] = read(fields.get(column), column)
            except RowError as error:
                problems.append(_hinted(error, target, row).at(row.number, fields))
        if problems:
            return problems
        try:
            messages, answer = _conversation(found)
        except RowError as error:
            return [error.at(row.number, fields)]
        name = found.get("id")
        demonstration = Demonstration(
            id=name.strip() if name else f"row-{row.number}",
            row=row.number,
            messages=messages,
            demonstration=answer,
            reference=found.get("reference"),
            tags=found.get("tags", ()),
            group=found.get("group"),
        )
        return Read(demonstration, found.get("split"))


def _read_prompt(value: Any, column: str) -> tuple[Message, ...]:
    if isinstance(value, list) and value:
        return read_prompt_turns(value, column)
    text = required_text(value, column, "add a prompt or remove the row")
    return (Message(role="user", content=text),)


def _read_answer(value: Any, column: str) -> str:
    if isinstance(value, list) and value:
        return read_answer_turn(value, column)
    return required_text(value, column, "add a response or remove the row")


_FIELDS: Final[Mapping[Target, Callable[[Any, str], Any]]] = {
    "messages": read_turns,
    "prompt": _read_prompt,
    "input": as_text,
    "demonstration": _read_answer,
    "system": as_text,
    "tools": tools_text,
    "reference": as_reference,
    "tags": as_tags,
    "id": as_text,
    "group": as_text,
    "split": as_side,
}
_MISSING: Final = frozenset({"missing", "empty"})


def _conversation(found: Mapping[Target, Any]) -> tuple[tuple[Message, ...], str]:
    """Prompt and answer, under the row's own system message and tools. Raises RowError."""
    if "messages" in found:
        messages, answer = found["messages"]
    else:
        messages, answer = found.get("prompt", ()), found.get("demonstration", "")
    if found.get("input"):
        *earlier, last = messages
        messages = (
            *earlier,
            Message(role=last.role, content=f"{last.content}\n\n{found['input']}"),
        )
    if found.get("system"):
        messages = (Message(role="system", content=found["system"]), *messages)
        check_prompt(messages, "messages")
    if found.get("tools"):
        messages = _with_tools(messages, found["tools"])
    return messages, answer


def _with_tools(messages: Sequence[Message], tools: str) -> tuple[Message, ...]:
    """The tools at the end of the system turn, which is added where there is none."""
    if messages and messages[0].role == "system":
        content = f"{messages[0].content}\n\n{tools}"
        return (Message(role="system", content=content), *messages[1:])
    return (Message(role="system", content=tools), *messages)


def _hinted(error: RowError, target: Target, row: Row) -> RowError:
    """The error, with another remedy where the row has the field under another usual name."""
    if error.kind not in _MISSING or error.field in row.fields:
        return error
    other = next((name for name in row.fields if plain(name) in NAMES[target]), None)
    if other is None:
        return error
    remedy = f'this row names it "{other[:40]}": give it the same name in all rows'
    return RowError(error.kind, error.field, error.problem, remedy)
