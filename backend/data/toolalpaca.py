"""Takes ToolAlpaca's rows apart: an API with its documentation, requests and their calls."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from backend.data.formats.row import Row, kind_of
from backend.data.report import Problem

INSTRUCTIONS: Final = "Instructions"
ANSWERS: Final = "Golden_Answers"
_DOCUMENTATION: Final = "NLDocumentation"
_ACTION: Final = "Action"
_INPUT: Final = "Action_Input"
_CALLS: Final = f'[{{"{_ACTION}": ..., "{_INPUT}": ...}}]'
_PROMPT: Final = (
    "Here is the documentation of {api}:\n\n{documentation}\n\n"
    "Write the calls that the request needs, in their order, each in two lines:\n"
    "Action: the name of a function\n"
    "Action Input: its parameters as a JSON object\n\n"
    "Request: {request}"
)


def from_api(row: Row) -> Iterator[Row | Problem]:
    """A row for each request of an API, grouped by the API; problems name the request."""
    fields = row.fields
    name = fields.get("Name") if isinstance(fields.get("Name"), str) else f"API {row.number}"
    lists = _lists(row)
    if isinstance(lists, Problem):
        yield lists
        return
    for place, (request, calls) in enumerate(zip(*lists, strict=True), 1):
        answer = _calls_text(calls)
        where = f"{ANSWERS}[{place}]"
        if not isinstance(request, str) or not request.strip():
            yield _faulty(
                row, f"{INSTRUCTIONS}[{place}]", "is no text", "write the request as text"
            )
        elif answer is None:
            yield _faulty(row, where, "is no list of calls", f"write {_CALLS}")
        elif not answer:
            yield _faulty(row, where, "is empty", "add the calls, or remove the request")
        else:
            prompt = _PROMPT.format(
                api=name, documentation=fields[_DOCUMENTATION].strip(), request=request
            )
            made = {
                "id": f"{name}-{place}",
                "prompt": prompt,
                "demonstration": answer,
                "api": name,
                "category": fields.get("Category"),
            }
            yield Row(row.number, made)


def _lists(row: Row) -> tuple[Sequence[Any], Sequence[Any]] | Problem:
    """Requests and answers of a row, as many of both, or what is wrong with them."""
    documentation = row.fields.get(_DOCUMENTATION)
    if not isinstance(documentation, str) or not documentation.strip():
        found = "is missing" if documentation is None else "is empty or no text"
        return _faulty(row, _DOCUMENTATION, found, "add what the API's functions do")
    lists = []
    for name in (INSTRUCTIONS, ANSWERS):
        value = row.fields.get(name)
        if not isinstance(value, list):
            return _faulty(row, name, f"is {kind_of(value)}, expected a list", "write a list")
        lists.append(value)
    requests, answers = lists
    if len(requests) != len(answers):
        found = f"has {len(answers)} entries for {len(requests)} {INSTRUCTIONS}"
        return _faulty(row, ANSWERS, found, "give each request its calls")
    return requests, answers


def _calls_text(calls: Any) -> str | None:
    """Two lines a call; None where it is no list of calls."""
    if not isinstance(calls, list):
        return None
    lines = []
    for call in calls:
        action = call.get(_ACTION) if isinstance(call, dict) else None
        if not isinstance(action, str) or not action.strip():
            return None
        given = call.get(_INPUT)
        if not isinstance(given, str):
            given = json.dumps(given if given is not None else {}, ensure_ascii=False)
        lines.append(f"Action: {action}\nAction Input: {given}")
    return "\n".join(lines)


def _faulty(row: Row, field: str, found: str, remedy: str) -> Problem:
    return Problem(
        row=row.number,
        field=field,
        problem=f'"{field}" {found}',
        remedy=remedy,
        kind="toolalpaca",
        content=row.fields,
    )
