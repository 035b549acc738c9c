"""Reads chat turns: the last answer is the demonstration, what stands before it the prompt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, Literal, get_args

from backend.data.demonstration import Message
from backend.data.fields import RowError, check_characters
from backend.data.formats.row import kind_of
from backend.data.formats.strict_json import JsonError, parse
from backend.data.tools import call_in_text, calls_text

Role = Literal["system", "user", "assistant", "tool"]
_ROLES: Final[tuple[Role, ...]] = get_args(Role)
# What other formats call the roles; ShareGPT has turns for calls of tools and for their results.
_OTHER_ROLES: Final[dict[str, Role]] = {
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "function_call": "assistant",
    "developer": "system",
    "function": "tool",
    "observation": "tool",
    "function_response": "tool",
    "tool_response": "tool",
}
_CALL_ROLE: Final = "function_call"
# How formats name a turn's two fields: OpenAI's and ShareGPT's.
_ROLE_KEYS: Final = ("role", "from")
_CONTENT_KEYS: Final = ("content", "value")
_TURN: Final = '{"role": ..., "content": ...}'


def holds_turns(value: Any) -> bool:
    """Whether a field seems to hold turns: a list of objects, or such a list as text."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return False
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def read_turns(value: Any, column: str) -> tuple[tuple[Message, ...], str]:
    """Prompt and demonstration of a ``messages`` field, also where it is JSON within a text cell.

    Calls of tools become text. Raises RowError that names the turn (counted from 1).
    """
    messages = _read_all(value, column)
    _check_order(messages, column)
    return tuple(messages[:-1]), messages[-1].content


def read_prompt_turns(value: list[Any], column: str) -> tuple[Message, ...]:
    """The turns of a prompt that comes as a list. Raises RowError."""
    messages = _read_all(value, column)
    check_prompt(messages, column)
    if messages[-1].role not in ("user", "tool"):
        problem = f'"{column}" ends with a turn by {messages[-1].role}, expected the user'
        raise RowError("turns", column, problem, "put the answer into its own column")
    return tuple(messages)


def read_answer_turn(value: list[Any], column: str) -> str:
    """The text of an answer that comes as a list of one turn. Raises RowError."""
    messages = _read_all(value, column)
    if len(messages) != 1 or messages[0].role != "assistant":
        roles = ", ".join(turn.role for turn in messages[:5])
        problem = f'"{column}" has turns by {roles}, expected one by the assistant'
        raise RowError("turns", column, problem, "put earlier turns into the prompt")
    return messages[0].content


def are_turns(value: Any) -> bool:
    """Whether a value is a list of turns in one of the known forms."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(turn, dict) and any(key in turn for key in _ROLE_KEYS) for turn in value)
    )


def check_prompt(messages: Sequence[Message], column: str) -> None:
    """Raises RowError unless a system turn, if any, stands first and someone asks something."""
    for place, turn in enumerate(messages, 1):
        if turn.role == "system" and place > 1:
            problem = f'turn {place} of "{column}" is by system, which may only stand first'
            raise RowError("turns", column, problem, "move its text into the first turn")
    if not any(turn.role == "user" for turn in messages):
        problem = f'"{column}" has no user turn before the answer'
        raise RowError("turns", column, problem, "add the user's question")


def _read_all(value: Any, column: str) -> list[Message]:
    turns = _as_list(value, column)
    return [_read_turn(turn, place, column) for place, turn in enumerate(turns, 1)]


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
    role_key, content_key = _key(turn, _ROLE_KEYS), _key(turn, _CONTENT_KEYS)
    calls = calls_text(turn, where, column)
    for name, key in (("role", role_key), ("content", content_key or calls)):
        if not key:
            raise RowError("turns", column, f"{where} has no {name}", f"write it as {_TURN}")
    name = turn[str(role_key)]
    role = _read_role(name, where, column)
    if calls and role != "assistant":
        problem = f"{where} calls a tool, but is by {role}"
        raise RowError("turns", column, problem, "let the assistant call it")
    content = _read_content(turn.get(str(content_key)), where, column, may_be_empty=bool(calls))
    if name == _CALL_ROLE:
        content = call_in_text(content, column)
    return Message(role=role, content="\n".join(part for part in (content, calls) if part))


def _key(turn: dict[str, Any], keys: Sequence[str]) -> str | None:
    """The first of both keys that says something; tables give every turn all keys."""
    present = [key for key in keys if key in turn]
    told = [key for key in present if turn[key] is not None]
    return next(iter([*told, *present]), None)


def _read_content(value: Any, where: str, column: str, may_be_empty: bool) -> str:
    if may_be_empty and value in (None, "", []):
        return ""
    if isinstance(value, list):
        value = _joined_parts(value, where, column)
    if not isinstance(value, str):
        problem = f"the content of {where} is {kind_of(value)}, expected text"
        raise RowError("not_text", column, problem, "write it as text")
    if not value.strip() and not may_be_empty:
        problem = f"the content of {where} is empty"
        raise RowError("empty", column, problem, "add its text or remove the turn")
    check_characters(value, column)
    return value


def _joined_parts(parts: list[Any], where: str, column: str) -> str:
    """The text of content that comes in parts; pictures and sounds cannot be read."""
    texts = []
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else kind_of(part)
        if kind != "text" or not isinstance(part.get("text"), str):
            problem = f"the content of {where} has a part that is no text ({str(kind)[:40]})"
            raise RowError("not_text", column, problem, "write it as text or remove the row")
        texts.append(part["text"])
    return "".join(texts)


def _read_role(name: Any, where: str, column: str) -> Role:
    for role in _ROLES:
        if name == role:
            return role
    meant = _OTHER_ROLES.get(name.casefold()) if isinstance(name, str) else None
    if meant:
        return meant
    shown = f'"{name[:40]}"' if isinstance(name, str) else kind_of(name)
    raise RowError("turns", column, f"the role of {where} is {shown}", f"use {', '.join(_ROLES)}")


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
