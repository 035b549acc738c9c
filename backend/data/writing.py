"""Writes demonstrations as rows that can be read back: the form in which a task is exported."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from backend.data.demonstration import Demonstration


def as_row(demonstration: Demonstration) -> dict[str, Any]:
    """``id``, ``messages`` with the answer as last turn, and what else the row has."""
    turns = [turn.model_dump() for turn in demonstration.messages]
    row: dict[str, Any] = {
        "id": demonstration.id,
        "messages": [*turns, {"role": "assistant", "content": demonstration.demonstration}],
    }
    if demonstration.reference is not None:
        row["reference"] = demonstration.reference
    if demonstration.tags:
        row["tags"] = demonstration.tags
    return row


def to_jsonl(demonstrations: Iterable[Demonstration]) -> Iterator[str]:
    """One line a row, each with its line end."""
    for demonstration in demonstrations:
        yield json.dumps(as_row(demonstration), ensure_ascii=False) + "\n"
