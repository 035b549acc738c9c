"""The scorer tool-calls: the answer calls the functions of the reference with their arguments."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import Field

from backend.config import Frozen
from backend.data.demonstration import Demonstration
from backend.data.formats.strict_json import JsonError, parse
from backend.evaluation.scorers.json_equality import is_same
from backend.evaluation.scorers.reading import checked, find_json, values_inside
from backend.evaluation.scorers.scorer import (
    Score,
    Scorer,
    ScorerFailed,
    one_text,
    pure,
    quoted,
)

# ToolAlpaca writes what an earlier call will return as ${what from where}, with quotes or without.
_UNKNOWN: Final = re.compile(r'"?\$\{[^{}]*\}"?')
_PLACEHOLDER: Final = '"${}"'
_STEP: Final = re.compile(
    r"^[ \t]*Action[ \t]*:(?P<name>[^\n]+)\n+"
    r"[ \t]*Action[ _]Input[ \t]*:(?P<input>.*?)"
    r"(?=^[ \t]*(?:Action|Observation|Thought|Final Answer|ASSISTANT[ \w]*):|\Z)",
    re.MULTILINE | re.DOTALL | re.IGNORECASE,
)
_NAMES: Final = ("Action", "action", "name", "tool")
_ARGUMENTS: Final = ("Action_Input", "action_input", "arguments", "parameters", "args")


@dataclass(frozen=True)
class Call:
    """A function's name, and its arguments: an object, or the text where they are none."""

    name: str
    arguments: Any


class ToolCallParameters(Frozen):
    """How like the calls must be, and what part of them counts."""

    names_only: bool = Field(False, description="the arguments do not count")
    partial: bool = Field(False, description="the share of calls that are right, not all or none")
    any_order: bool = Field(False, description="the order of the calls does not count")
    lenient: bool = Field(
        False,
        description='texts are compared without case, 3 equals "3", and an empty argument is none',
    )


def by_tool_calls(answer: str, row: Demonstration, parameters: ToolCallParameters) -> Score:
    """1 if the calls are those of the reference; an argument ``${...}`` there may be anything."""
    wanted = read_calls(one_text(row.target))
    if not wanted:
        raise ScorerFailed(
            f"the reference {quoted(one_text(row.target))} holds no tool call",
            where=f"row {row.row}",
            remedy='write it as [{"Action": ..., "Action_Input": ...}], or choose another scorer',
        )
    found = read_calls(answer)
    if not found:
        return Score(0.0, "the answer holds no tool call")
    right, faults = _compare(found, wanted, parameters)
    if not faults:
        return Score(1.0, f"{right} of {len(wanted)} calls right")
    value = right / max(len(wanted), len(found)) if parameters.partial else 0.0
    return Score(value, f"{right} of {len(wanted)} calls right: {faults[0]}")


def read_calls(text: str) -> list[Call]:
    """The calls in a text: ToolAlpaca's and OpenAI's JSON, or ``Action:``, ``Action Input:``."""
    steps = [
        Call(_name(found["name"]), _arguments(found["input"])) for found in _STEP.finditer(text)
    ]
    if steps:
        return steps
    try:
        whole = list(_calls(find_json(text)))
    except JsonError:
        whole = []
    # Several objects one after the other, as in a block each between <tool_call> tags.
    among = [call for value in values_inside(text) for call in _calls(value)]
    return max(whole, among, key=len)


def _calls(value: Any) -> Iterator[Call]:
    if isinstance(value, list):
        for each in value:
            yield from _calls(each)
    elif isinstance(value, dict):
        if isinstance(value.get("tool_calls"), list):
            yield from _calls(value["tool_calls"])
        elif isinstance(value.get("function"), dict):
            yield from _calls(value["function"])
        else:
            name = next((value[key] for key in _NAMES if isinstance(value.get(key), str)), None)
            given = next((value[key] for key in _ARGUMENTS if key in value), None)
            if name is not None and given is not None:
                yield Call(_name(name), _arguments(given) if isinstance(given, str) else given)


def _name(text: str) -> str:
    return text.strip().strip("`\"'").strip()


def _arguments(text: str) -> Any:
    """An object of arguments, where the text is one but for its placeholders."""
    plain = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```").strip()
    for attempt in (plain, _UNKNOWN.sub(lambda _: _PLACEHOLDER, plain)):
        try:
            return checked(parse(attempt))
        except JsonError:
            continue
    return plain


def _compare(
    found: Sequence[Call], wanted: Sequence[Call], parameters: ToolCallParameters
) -> tuple[int, list[str]]:
    """How many wanted calls there are, and what is wrong with the others."""
    faults: list[str] = []
    left = list(found)
    right = 0
    for place, call in enumerate(wanted):
        candidates = left if parameters.any_order else list(found[place : place + 1])
        if not candidates:
            faults.append(f"{call.name} is not called")
            continue
        wrong = [_fault(each, call, parameters) for each in candidates]
        if "" in wrong:
            right += 1
            if parameters.any_order:
                del left[wrong.index("")]
        else:
            by_name = [w for w, c in zip(wrong, candidates, strict=True) if c.name == call.name]
            faults.append((by_name or wrong)[0])
    if len(found) > len(wanted):
        faults.append(f"{len(found)} calls instead of {len(wanted)}")
    return right, faults


def _fault(found: Call, wanted: Call, parameters: ToolCallParameters) -> str:
    if found.name != wanted.name:
        return f"{quoted(found.name)} instead of {quoted(wanted.name)}"
    if parameters.names_only:
        return ""
    if not isinstance(found.arguments, Mapping) or not isinstance(wanted.arguments, Mapping):
        same = _agrees(found.arguments, wanted.arguments, parameters.lenient)
        return "" if same else f"{wanted.name} has other arguments"
    ours, theirs = dict(found.arguments), dict(wanted.arguments)
    if parameters.lenient:
        ours, theirs = ({k: v for k, v in each.items() if v not in ("", None)}
                        for each in (ours, theirs))  # fmt: skip
    for key, value in theirs.items():
        if key not in ours:
            return f"{wanted.name} lacks {key}"
        if not _agrees(ours[key], value, parameters.lenient):
            return f"{wanted.name} has {key} {_shown(ours[key])} instead of {_shown(value)}"
    extra = [key for key in ours if key not in theirs]
    return f"{wanted.name} has {extra[0]}, which is not wanted" if extra else ""


def _agrees(found: Any, wanted: Any, lenient: bool) -> bool:
    if isinstance(wanted, str) and "${" in wanted:
        return True
    if isinstance(found, list) and isinstance(wanted, list):
        pairs = zip(found, wanted, strict=False)
        return len(found) == len(wanted) and all(_agrees(f, w, lenient) for f, w in pairs)
    if isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(
            _agrees(found[key], wanted[key], lenient) for key in wanted
        )
    return is_same(found, wanted) or (lenient and _plain(found) == _plain(wanted))


def _plain(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return " ".join(text.casefold().split())


def _shown(value: Any) -> str:
    return quoted(json.dumps(value, ensure_ascii=False))


TOOL_CALLS: Final = Scorer(
    "tool-calls",
    "The answer calls the functions of the reference with the same arguments, written as "
    "ToolAlpaca does (Action and Action_Input) or as OpenAI does.",
    ToolCallParameters,
    pure(by_tool_calls),
)
