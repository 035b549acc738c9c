"""What differs between two versions of a task, row by row, with the words that changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from backend.data.load import Watch, unwatched
from backend.jobs.documents import Document
from backend.jobs.task_edits import task_difference
from backend.text.prompt_difference import Part, shared_end, shared_start, word_difference
from backend.views.task_rows import short
from storage.database import Database

# Words are compared in time that grows with the product of both lengths, in characters; the first
# rows get what there is, and of later ones the whole stretch is marked.
_MOST_COMPARED: Final = 40_000_000
# Of a stretch that is the same on both sides, or of one that differs.
_SHOWN_SAME: Final = 240
_SHOWN_OTHER: Final = 2_000


def task_changes(database: Database, before: str, after: str, watch: Watch = unwatched) -> Document:
    """As the command line's ``task diff``, with texts cut and changed words marked.

    A text is a list of ``[text, whether it differs]``. Raises NotFound.
    """
    found = task_difference(database, before, after, watch)
    budget = _MOST_COMPARED
    changed = []
    for entry in found["changed"]:
        fields, spent = _changed_fields(entry["before"], entry["after"], budget)
        budget -= spent
        changed.append({"id": entry["after"]["id"], "part": entry["part"], "fields": fields})
    return {
        **{key: found[key] for key in ("before", "after", "counts", "scorer")},
        "shown": {kind: len(found[kind]) for kind in found["counts"]},
        "changed": changed,
        "added": [{"part": each["part"], **_brief(each["row"])} for each in found["added"]],
        "removed": [{"part": each["part"], **_brief(each["row"])} for each in found["removed"]],
        "moved": [
            {"from": each["from"], "to": each["to"], **_brief(each["row"])}
            for each in found["moved"]
        ],
    }


def _changed_fields(
    before: Mapping[str, Any], after: Mapping[str, Any], budget: int
) -> tuple[list[Document], int]:
    old, new = _texts(before), _texts(after)
    fields, spent = [], 0
    for name in dict.fromkeys((*old, *new)):
        ours, theirs = old.get(name, ""), new.get(name, "")
        if ours == theirs:
            continue
        start = shared_start(ours, theirs)
        end = shared_end(ours[start:], theirs[start:])
        cost = (len(ours) - start - end) * (len(theirs) - start - end)
        left, right = [(ours, True)], [(theirs, True)]
        if cost <= budget - spent:
            left, right = word_difference(ours, theirs)
            spent += cost
        fields.append({"field": name, "before": _cut(left), "after": _cut(right)})
    return fields, spent


def _texts(row: Mapping[str, Any]) -> dict[str, str]:
    """The row's fields as texts: its turns by their roles, then the rest."""
    *turns, answer = row["messages"]
    reference, tags = row.get("reference") or "", row.get("tags") or ()
    texts = {
        (turn["role"] if at < len(turns) - 1 else "prompt") + (f" {at + 1}" if turns[1:] else ""):
        turn["content"]
        for at, turn in enumerate(turns)
    }  # fmt: skip
    return texts | {
        "demonstration": answer["content"],
        "reference": reference if isinstance(reference, str) else "\n".join(reference),
        "tags": ", ".join(tags),
        "group": row.get("group") or "",
    }


def _brief(row: Mapping[str, Any]) -> Document:
    *_, question, answer = row["messages"]
    return {
        "id": row["id"],
        "prompt": short(question["content"]),
        "demonstration": short(answer["content"]),
    }


def _cut(parts: list[Part]) -> list[list[Any]]:
    """The parts, long ones without their middle."""
    return [[_middle_out(text, _SHOWN_OTHER if own else _SHOWN_SAME), own] for text, own in parts]


def _middle_out(text: str, most: int) -> str:
    half = most // 2
    return text if len(text) <= most else f"{text[:half]} … {text[-half:]}"
