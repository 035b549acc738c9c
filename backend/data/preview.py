"""What a file looks like before anything is stored: format, shape, columns, and its first rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from backend.data.columns import TARGETS
from backend.data.formats.row import kind_of
from backend.data.looking import Looked, reported
from backend.data.mapping import ColumnMapping, Remembered, check_complete
from backend.data.report import FileError, Problem
from backend.data.validation import SAMPLE, Draft, Entry, RowReader, draft

SHOWN_ROWS: Final = 20
_SHOWN_CHARACTERS: Final = 600
_EXAMPLES: Final = 3
_COUNTED: Final = 100

Document = dict[str, Any]


def preview(
    looked: Looked,
    overrides: Mapping[str, str],
    remembered: Sequence[Remembered],
    others: Sequence[Remembered] = (),
) -> Document:
    """A file as it would be read, with the faults of its first rows.

    What files of ``others`` with the same columns were read by is offered, not taken.
    A mapping without prompt or demonstration is no error here: ``incomplete`` then says what
    loading would. Raises ReportedDataError where no row could be read, or a chosen column is not
    there.
    """
    try:
        found = draft(looked.rows, overrides, remembered)
        first = list(islice(found.rows, SAMPLE))
        shown = _rows(first, found.mapping)
        if not found.sample:
            _raise_first(first)
    except FileError as error:
        raise reported(error, looked.file) from error
    reused = next((each.source for each in remembered if each.fits(found.columns)), "")
    return {
        "file": looked.file,
        "bytes": looked.bytes,
        "format": looked.format,
        "encoding": looked.encoding,
        "shape": {"name": found.shape.name, "reason": found.shape.reason},
        "targets": list(TARGETS),
        "mapping": found.mapping.model_dump(mode="json"),
        "columns": _columns(found),
        "incomplete": _incomplete(found),
        "as_in": reused,
        "offered": _offered(found, others),
        "rows": shown[:SHOWN_ROWS],
        "tags": _counts(tag for row in shown for tag in row.get("tags", ())),
        "groups": _counts(row["group"] for row in shown if row.get("group") is not None),
        "looked_at": len(first),
        "faulty": sum(bool(row["problems"]) for row in shown),
    }


def _counts(names: Iterable[str]) -> list[tuple[str, int]]:
    """Names with how many of the first rows have them, the most frequent first."""
    return Counter(names).most_common(_COUNTED)


def _raise_first(entries: Iterable[Entry]) -> None:
    """Raises what ended the reading before any row could be read."""
    for entry in entries:
        if isinstance(entry, FileError):
            raise entry


def _offered(found: Draft, others: Sequence[Remembered]) -> Document | None:
    """The mapping of another task's file with the same columns, where it is another one."""
    taken = {target: choice.column for target, choice in found.mapping.columns.items()}
    for each in others:
        columns = {target: choice.column for target, choice in each.choices.items()}
        if each.fits(found.columns) and columns != taken:
            return {"as_in": each.source, "columns": columns}
    return None


def _incomplete(found: Draft) -> Document | None:
    try:
        if found.sample:
            check_complete(found.mapping, found.columns)
    except FileError as error:
        return {"problem": error.message, "remedy": error.remedy}
    return None


def _rows(entries: Iterable[Entry], mapping: ColumnMapping) -> list[Document]:
    reader = RowReader(mapping)
    return [_row(entry, reader) for entry in entries]


def _row(entry: Entry, reader: RowReader) -> Document:
    """A row as it stands in the file, and what becomes of it."""
    if isinstance(entry, FileError):
        return _faulty(entry.problem, [entry.problem])
    if isinstance(entry, Problem):
        return _faulty(entry, [entry])
    made = reader.read(entry)
    if isinstance(made, list):
        return _faulty(made[0], made)
    row = made.demonstration
    return {
        "row": entry.number,
        "fields": {name: shown(value) for name, value in entry.fields.items()},
        "turns": [{"role": turn.role, "content": shown(turn.content)} for turn in row.messages],
        "demonstration": shown(row.demonstration),
        "reference": [shown(text) for text in _texts(row.reference)],
        "tags": [shown(tag) for tag in row.tags],
        "id": shown(row.id),
        "group": None if row.group is None else shown(row.group),
        "side": made.side,
        "problems": [],
    }


def _texts(reference: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (reference,) if isinstance(reference, str) else reference or ()


def _faulty(first: Problem, problems: Sequence[Problem]) -> Document:
    content = first.content
    fields = content if isinstance(content, dict) else {"": content}
    return {
        "row": first.row,
        "fields": {str(name): shown(value) for name, value in fields.items()},
        "problems": [each.model_dump(mode="json") for each in problems],
    }


def _columns(found: Draft) -> list[Document]:
    """Each column with what it is taken for and why, what stands in it, and some examples."""
    return [_column(name, found) for name in found.columns]


def _column(name: str, found: Draft) -> Document:
    values = [row.fields.get(name) for row in found.sample]
    filled = [value for value in values if value not in (None, "", [])]
    targets = {
        target: choice.reason
        for target, choice in found.mapping.columns.items()
        if choice.column == name
    }
    return {
        "name": name,
        "targets": list(targets),
        "reason": "; ".join(targets.values()) or "nothing is taken from it",
        "kinds": dict(Counter(kind_of(value) for value in filled).most_common()),
        "filled": len(filled) / len(values),
        "examples": [shown(value) for value in filled[:_EXAMPLES]],
    }


def shown(value: Any) -> str:
    """A value in so few characters that a page can show it."""
    text = value if isinstance(value, str) else repr(value)
    # Half characters are no text that a page could be sent.
    text = text[: _SHOWN_CHARACTERS + 1].encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + " …"
