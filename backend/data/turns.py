"""Reads chat turns: the last answer is the demonstration, what stands before it the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, get_args

from backend.data.demonstration import Message
from backend.data.fields import RowError, check_characters
from backend.data.formats.row import kind_of
from backend.data.formats.strict_json import JsonError, parse

Role = Literal["system", "user", "assistant", "tool"]
_ROLES: Final[tuple[Role, ...]] = get_args(Role)
# What other formats call the roles.
_OTHER_ROLES: Final = {
    "human": "user",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "developer": "system",
    "function": "tool",
}
_TURN: Final = '{"role": ..., "content": ...}'


def read_turns(value: Any, column: str) -> tuple[tuple[Message, ...], str]:
    """Prompt and demonstration of a ``messages`` field, also where it is JSON within a text cell.

    Raises RowError that names the turn (counted from 1).
    """
    turns = _as_list(value, column)
    messages = [_read_turn(turn, place, column) for place, turn in enumerate(turns, 1)]
    _check_order(messages, column)
    return tuple(messages[:-1]), messages[-1].content


def check_prompt(messages: Sequence[Message], column: str) -> None:
    """Raises RowError unless a system turn, if any, stands first and someone asks something."""
    for place, turn in enumerate(messages, 1):
        if turn.role == "system" and place > 1:
            problem = f'turn {place} of "{column}" is by system, which may only stand first'
            raise RowError("turns", column, problem, "move its text into the first turn")
    if not any(turn.role == "user" for turn in messages):
        problem = f'"{column}" has no user turn before the answer'
        raise RowError("turns", column, problem, "add the user's question")


def _as_list(value: Any, column: str) -> list[Any]:
    if isinstance(value, str) and value.strip():
        try:
            value = parse(value)
        except JsonError as error:
            problem = f'"{column}" is text that is no list of turns ({error.problem})'
            raise RowError("turns", column, problem, f"write [{_TURN}, ...]") from error
    if value is None or value in ([], ""):
        raise RowError("empty", column, f'"{column}" is empty', "add turns or remove the row")
    if not isinstance(value, list):
        problem = f'"{column}" is {kind_of(value)}, expected a list of {_TURN}'
        raise RowError("turns", column, problem, f"write [{_TURN}, ...]")
    return value


def _read_turn(turn: Any, place: int, column: str) -> Message:
    where = f'turn {place} of "{column}"'
    if not isinstance(turn, dict):
        raise RowError("turns", column, f"{where} is {kind_of(turn)}", f"write it as {_TURN}")
    for name in ("role", "content"):
        if name not in turn:
            raise RowError("turns", column, f"{where} has no {name}", f"write it as {_TURN}")
    role = _read_role(turn["role"], where, column)
    if turn.get("tool_calls") or turn.get("function_call"):
        problem, remedy = f"{where} calls a tool by its own field", "write the call into content"
        raise RowError("turns", column, problem, remedy)
    content = turn["content"]
    if not isinstance(content, str):
        problem = f"the content of {where} is {kind_of(content)}, expected text"
        raise RowError("not_text", column, problem, "write it as text")
    if not content.strip():
        problem = f"the content of {where} is empty"
        raise RowError("empty", column, problem, "add its text or remove the turn")
    check_characters(content, column)
    return Message(role=role, content=content)


def _read_role(name: Any, where: str, column: str) -> Role:
    for role in _ROLES:
        if name == role:
            return role
    meant = _OTHER_ROLES.get(name) if isinstance(name, str) else None
    shown = f'"{name[:40]}"' if isinstance(name, str) else kind_of(name)
    raise RowError(
        "turns",
        column,
        f"the role of {where} is {shown}",
        f'call it "{meant}"' if meant else f"use {', '.join(_ROLES)}",
    )


def _check_order(messages: Sequence[Message], column: str) -> None:
    if not any(turn.role == "assistant" for turn in messages):
        problem = f'"{column}" has no assistant turn, so nothing is demonstrated'
        raise RowError("turns", column, problem, "add the answer as the last turn")
    if messages[-1].role != "assistant":
        problem = f'"{column}" ends with a turn by {messages[-1].role}, expected the assistant'
        raise RowError("turns", column, problem, "add the answer, or remove what follows it")
    check_prompt(messages[:-1], column)
    if messages[-2].role not in ("user", "tool"):
        problem = f'the last two turns of "{column}" are by {messages[-2].role} and assistant'
        raise RowError("turns", column, problem, "join them, or put a user turn between them")
