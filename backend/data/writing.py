"""Writes demonstrations as rows that can be read back: the form in which a task is exported."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from backend.data.demonstration import Demonstration
from backend.data.fields import Side

# Spreadsheets run a cell that begins so as a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_CSV_COLUMNS: Final = ("id", "prompt", "demonstration", "reference", "tags", "group", "split")


def as_row(demonstration: Demonstration, side: Side | None = None) -> dict[str, Any]:
    """``id``, ``messages`` with the answer as last turn, and what else the row has."""
    turns = [turn.model_dump() for turn in demonstration.messages]
    row: dict[str, Any] = {
        "id": demonstration.id,
        "messages": [*turns, {"role": "assistant", "content": demonstration.demonstration}],
    }
    if demonstration.reference is not None:
        row["reference"] = demonstration.reference
    if demonstration.tags:
        row["tags"] = list(demonstration.tags)
    if demonstration.group is not None:
        row["group"] = demonstration.group
    if side is not None:
        row["split"] = side
    return row


def to_jsonl(demonstrations: Iterable[Demonstration], side: Side | None = None) -> Iterator[str]:
    """One line a row, each with its line end."""
    for demonstration in demonstrations:
        yield json.dumps(as_row(demonstration, side), ensure_ascii=False) + "\n"


def write_csv(path: Path, rows: Iterable[tuple[Demonstration, Side]]) -> int:
    """Writes a table, a prompt of several turns as JSON; returns how many cells got a ``'``.

    It stands before text that a spreadsheet would run as a formula.
    """
    escaped = 0
    # With a byte order mark, without which spreadsheets take UTF-8 for another encoding.
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_CSV_COLUMNS)
        for row, side in rows:
            cells = [_safe(cell) for cell in _cells(row, side)]
            escaped += sum(is_escaped for _, is_escaped in cells)
            writer.writerow([cell for cell, _ in cells])
    return escaped


def _cells(row: Demonstration, side: Side) -> list[str]:
    turns = [turn.model_dump() for turn in row.messages]
    prompt = row.prompt if len(turns) == 1 else json.dumps(turns, ensure_ascii=False)
    reference = row.reference or ""
    if isinstance(reference, tuple):
        reference = json.dumps(reference, ensure_ascii=False)
    tags = ",".join(row.tags)
    return [row.id, prompt, row.demonstration, reference, tags, row.group or "", side]


def _safe(cell: str) -> tuple[str, bool]:
    is_formula = cell.startswith(_FORMULA)
    return ("'" + cell if is_formula else cell), is_formula
