"""Chat turns: the last answer is the demonstration; what cannot be one is refused by its turn."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backend.data.demonstration import Message
from backend.data.fields import RowError
from backend.data.turns import read_turns


def turn(role: Any, content: Any = "x", **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


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
        ([turn("human"), ANSWER], 'the role of turn 1 of "chat" is "human"'),
        ([turn(3), ANSWER], 'the role of turn 1 of "chat" is a number'),
        ([turn(["user"]), ANSWER], 'the role of turn 1 of "chat" is a list'),
        (
            [turn("user", [{"type": "text", "text": "x"}]), ANSWER],
            'the content of turn 1 of "chat" is a list, expected text',
        ),
        ([USER, turn("assistant", None)], 'the content of turn 2 of "chat" is null, expected text'),
        ([USER, turn("assistant", " ")], 'the content of turn 2 of "chat" is empty'),
        ([USER, turn("assistant", "a\0")], '"chat" holds a NUL character'),
        (
            [USER, turn("assistant", None, tool_calls=[{}])],
            'turn 2 of "chat" calls a tool by its own field',
        ),
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


def test_other_formats_role_names_are_translated_in_the_remedy() -> None:
    with pytest.raises(RowError) as caught:
        read_turns([turn("human"), turn("gpt")], "chat")
    assert caught.value.remedy == 'call it "user"'
