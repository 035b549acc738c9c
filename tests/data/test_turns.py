"""Chat turns: the last answer is the demonstration; what cannot be one is refused by its turn."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backend.data.demonstration import Message
from backend.data.fields import RowError
from backend.data.tools import tools_text
from backend.data.turns import read_turns


def turn(role: Any, content: Any = "x", **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def call(name: str, arguments: Any) -> dict[str, Any]:
    return {"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}


def called(name: str, arguments: Any) -> dict[str, Any]:
    return turn("assistant", None, tool_calls=[call(name, arguments)])


USER, ANSWER = turn("user", "question"), turn("assistant", "answer")


def test_the_last_answer_is_the_demonstration() -> None:
    messages, demonstration = read_turns([turn("system", "be kind"), USER, ANSWER], "messages")
    assert demonstration == "answer"
    assert messages == (
        Message(role="system", content="be kind"),
        Message(role="user", content="question"),
    )


def test_earlier_answers_stay_in_the_prompt() -> None:
    messages, demonstration = read_turns(
        [USER, turn("assistant", "first"), turn("user", "more"), ANSWER], "messages"
    )
    assert demonstration == "answer"
    assert [message.content for message in messages] == ["question", "first", "more"]


def test_an_answer_may_follow_a_tools_result() -> None:
    messages, _ = read_turns([USER, turn("assistant", "f()"), turn("tool", "1"), ANSWER], "m")
    assert [message.role for message in messages] == ["user", "assistant", "tool"]


def test_turns_may_stand_as_json_in_a_text_cell() -> None:
    assert read_turns(json.dumps([USER, ANSWER]), "m") == read_turns([USER, ANSWER], "m")


def test_what_is_not_asked_for_is_not_in_the_way() -> None:
    extra = turn("user", "question", name="Ann", tool_calls=None)
    assert read_turns([extra, ANSWER], "m") == read_turns([USER, ANSWER], "m")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, '"chat" is empty'),
        ([], '"chat" is empty'),
        (" ", '"chat" is text, expected a list of {"role": ..., "content": ...}'),
        ("hello", '"chat" is text that is no list of turns (not valid JSON: expecting value'),
        ({"role": "user"}, '"chat" is an object, expected a list'),
        ([USER, "answer"], 'turn 2 of "chat" is text'),
        ([{"content": "x"}], 'turn 1 of "chat" has no role'),
        ([{"role": "user"}], 'turn 1 of "chat" has no content'),
        ([turn("teacher"), ANSWER], 'the role of turn 1 of "chat" is "teacher"'),
        ([turn(3), ANSWER], 'the role of turn 1 of "chat" is a number'),
        ([turn(["user"]), ANSWER], 'the role of turn 1 of "chat" is a list'),
        (
            [turn("user", [{"type": "image_url", "image_url": {}}]), ANSWER],
            'the content of turn 1 of "chat" has a part that is no text (image_url)',
        ),
        ([USER, turn("assistant", None)], 'the content of turn 2 of "chat" is null, expected text'),
        ([USER, turn("assistant", " ")], 'the content of turn 2 of "chat" is empty'),
        ([USER, turn("assistant", "a\0")], '"chat" holds a NUL character'),
        (
            [USER, turn("assistant", None, tool_calls=[{}])],
            'a tool call of turn 2 of "chat" names no function',
        ),
        (
            [USER, turn("assistant", "", tool_calls={})],
            'the tool calls of turn 2 of "chat" are an object',
        ),
        (
            [USER, called("f", "{a: 1}")],
            'the arguments of a tool call of turn 2 of "chat" are no JSON (not valid JSON',
        ),
        ([USER, called("f", [1])], 'the arguments of a tool call of turn 2 of "chat" are a list'),
        ([{**USER, **called("f", {}), "role": "user"}, ANSWER], 'turn 1 of "chat" calls a tool'),
        ([{"from": "human", "value": 3}, ANSWER], 'the content of turn 1 of "chat" is a number'),
        ([USER], '"chat" has no assistant turn, so nothing is demonstrated'),
        ([USER, ANSWER, USER], '"chat" ends with a turn by user, expected the assistant'),
        ([ANSWER], '"chat" has no user turn before the answer'),
        ([turn("system"), ANSWER], '"chat" has no user turn before the answer'),
        (
            [USER, turn("system"), ANSWER],
            'turn 2 of "chat" is by system, which may only stand first',
        ),
        ([USER, ANSWER, ANSWER], 'the last two turns of "chat" are by assistant and assistant'),
    ],
)
def test_a_faulty_list_of_turns_is_refused(value: Any, problem: str) -> None:
    with pytest.raises(RowError) as caught:
        read_turns(value, "chat")
    assert caught.value.problem.startswith(problem)
    assert caught.value.remedy
    assert caught.value.field == "chat"


def test_sharegpts_turns_are_read_with_its_names() -> None:
    told = [{"from": "system", "value": "s"}, {"from": "human", "value": "question"}]
    messages, demonstration = read_turns([*told, {"from": "gpt", "value": "answer"}], "m")
    assert [(m.role, m.content) for m in messages] == [("system", "s"), ("user", "question")]
    assert demonstration == "answer"


def test_sharegpts_calls_and_results_become_turns() -> None:
    messages, _ = read_turns(
        [
            {"from": "human", "value": "question"},
            {"from": "function_call", "value": '{"name": "f", "arguments": {}}'},
            {"from": "observation", "value": "4"},
            {"from": "gpt", "value": "answer"},
        ],
        "m",
    )
    assert [m.role for m in messages] == ["user", "assistant", "tool"]
    assert messages[1].content == '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'


def test_calls_of_tools_become_text() -> None:
    asked = {"role": "assistant", "content": None, "tool_calls": None}
    both = [call("f", '{"a": 1}'), call("g", {"b": "é"})]
    _, demonstration = read_turns([USER, {**asked, "tool_calls": both}], "m")
    assert demonstration == (
        '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>\n'
        '<tool_call>\n{"name": "g", "arguments": {"b": "é"}}\n</tool_call>'
    )
    _, with_words = read_turns([USER, {**called("f", {}), "content": "I look."}], "m")
    assert with_words.startswith("I look.\n<tool_call>\n")
    _, older = read_turns([USER, turn("assistant", None, function_call=both[0]["function"])], "m")
    assert older == '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'


def test_content_in_parts_is_joined() -> None:
    parts = [{"type": "text", "text": "que"}, {"type": "text", "text": "stion"}]
    assert read_turns([turn("user", parts), ANSWER], "m") == read_turns([USER, ANSWER], "m")


def test_tools_are_told_one_a_line() -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in ("f", "g")]
    text = tools_text(tools, "tools")
    assert text is not None
    assert text.splitlines()[1:3] == [json.dumps(tool) for tool in tools]
    assert tools_text(json.dumps(tools), "tools") == text
    assert tools_text([], "tools") is tools_text(None, "tools") is tools_text(" ", "tools") is None
    for wrong in ("x", {"a": 1}, [1], 3):
        with pytest.raises(RowError, match="tools"):
            tools_text(wrong, "tools")
