"""Tools and their calls as text: one form for all models, whatever their chat templates know."""

from __future__ import annotations

import json
from typing import Any, Final

from backend.data.fields import RowError, check_characters
from backend.data.formats.row import kind_of
from backend.data.formats.strict_json import JsonError, parse

_HEAD: Final = "You can call these tools:"
_FORM: Final = (
    "Call a tool by writing\n"
    '<tool_call>\n{"name": "its name", "arguments": {"parameter": "value"}}\n</tool_call>'
)
_CALL: Final = '{"function": {"name": ..., "arguments": ...}}'


def tools_text(value: Any, column: str) -> str | None:
    """The tools of a row as the system turn tells them; None where there are none.

    Raises RowError unless they are a list of objects, also where it is JSON within a text.
    """
    if isinstance(value, str):
        value = parsed(value, column) if value.strip() else None
    if value in (None, "", []):
        return None
    if not isinstance(value, list) or not all(isinstance(tool, dict) for tool in value):
        found = kind_of(value) if not isinstance(value, list) else "a list of other things"
        problem = f'"{column}" is {found}, expected a list of tools'
        raise RowError("tools", column, problem, 'write [{"type": "function", ...}, ...]')
    lines = "\n".join(_as_json(tool, column) for tool in value)
    return f"{_HEAD}\n{lines}\n\n{_FORM}"


def calls_text(turn: dict[str, Any], where: str, column: str) -> str:
    """The tool calls of an assistant's turn; "" where it makes none. Raises RowError."""
    calls = turn.get("tool_calls")
    if calls is not None and not isinstance(calls, list):
        raise _faulty_call(f"the tool calls of {where} are {kind_of(calls)}", column)
    calls = [*(calls or ())]
    if turn.get("function_call"):
        calls.append({"function": turn["function_call"]})
    return "\n".join(_call_text(call, where, column) for call in calls)


def call_in_text(text: str, column: str) -> str:
    """A call that stands as JSON in a turn of its own, in the form of all others."""
    return f"<tool_call>\n{_as_json(parsed(text, column), column)}\n</tool_call>"


def parsed(text: str, column: str) -> Any:
    """The value of a JSON text within a field. Raises RowError."""
    try:
        return parse(text)
    except JsonError as error:
        problem = f'"{column}" is text that is no JSON ({error.problem})'
        raise RowError("tools", column, problem, "write it as JSON") from error


def _call_text(call: Any, where: str, column: str) -> str:
    function = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise _faulty_call(f"a tool call of {where} names no function", column)
    arguments = function.get("arguments") or {}
    if isinstance(arguments, str):
        try:
            arguments = parse(arguments)
        except JsonError as error:
            problem = f"the arguments of a tool call of {where} are no JSON ({error.problem})"
            raise _faulty_call(problem, column) from error
    if not isinstance(arguments, dict):
        raise _faulty_call(
            f"the arguments of a tool call of {where} are {kind_of(arguments)}", column
        )
    return (
        "<tool_call>\n"
        + _as_json({"name": function["name"], "arguments": arguments}, column)
        + "\n</tool_call>"
    )


def _as_json(value: Any, column: str) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        problem = f'"{column}" holds what JSON cannot ({error})'
        raise RowError(
            "tools", column, problem, "write numbers, text, lists and objects"
        ) from error
    check_characters(text, column)
    return text


def _faulty_call(problem: str, column: str) -> RowError:
    return RowError("tools", column, problem, f"write {_CALL}")
