"""What every teacher context keeps to, whoever wrote it."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.config import TeacherConfig
from backend.data.demonstration import Demonstration, Message
from backend.methods import PRESETS
from backend.text.contexts import CONTEXTS, SHOWS, Lesson, student_messages, teacher_messages
from backend.text.tokenizer import TextTokenizer
from tests.tiny_tokenizer import build_tokenizer

AWKWARD = "a {prompt} b {demonstration} c {{x}} $prompt ${y} \\1 \\g<0> %s é🙂\n{"
ANSWER = "the answer {prompt} $demonstration {0} }{ \\n"
HEAD = (
    Message(role="system", content="Be kind."),
    Message(role="user", content="an earlier question"),
    Message(role="assistant", content="an earlier answer"),
)
PROMPTS = {
    "one turn": (Message(role="user", content=AWKWARD),),
    "many turns": (*HEAD, Message(role="user", content=AWKWARD)),
    "tool result": (
        *HEAD,
        Message(role="user", content=AWKWARD),
        Message(role="assistant", content="look()"),
        Message(role="tool", content="found"),
    ),
}

every_context = pytest.mark.parametrize("name", CONTEXTS)
every_showing_context = pytest.mark.parametrize(
    "name", [name for name in CONTEXTS if SHOWS.get(name) != "nothing"]
)
every_prompt = pytest.mark.parametrize("messages", PROMPTS.values(), ids=PROMPTS)


def row(messages: tuple[Message, ...]) -> Demonstration:
    return Demonstration(id="1", row=1, messages=messages, demonstration=ANSWER)


@every_showing_context
@every_prompt
def test_prompt_and_demonstration_are_shown_letter_by_letter(
    name: str, messages: tuple[Message, ...]
) -> None:
    shown = [turn.content for turn in CONTEXTS[name](messages, ANSWER)]
    assert any(AWKWARD in content for content in shown)
    assert any(ANSWER in content for content in shown)


@every_context
@every_prompt
def test_the_teacher_is_asked_at_the_end_and_nothing_earlier_is_lost(
    name: str, messages: tuple[Message, ...]
) -> None:
    shown = CONTEXTS[name](messages, ANSWER)
    assert shown[-1].role == messages[-1].role
    assert [turn.role for turn in shown].count("system") <= 1
    assert all(turn.role != "system" for turn in shown[1:])
    for turn in messages[:-1]:
        assert any(turn.content in other.content for other in shown)


@every_context
def test_a_context_is_a_pure_function(name: str) -> None:
    messages = PROMPTS["many turns"]
    assert CONTEXTS[name](messages, ANSWER) == CONTEXTS[name](list(messages), ANSWER)
    assert messages == PROMPTS["many turns"]


@every_showing_context
def test_the_teacher_ends_where_the_student_ends(name: str, tmp_path: Path) -> None:
    tokenizer = TextTokenizer(build_tokenizer(tmp_path))
    demonstration = row(PROMPTS["one turn"])
    teacher = TeacherConfig(weights="ema", context=name)
    student_ids = tokenizer.prompt_ids(student_messages(demonstration))
    lesson = Lesson(sibling=ANSWER, feedback=ANSWER)
    teacher_ids = tokenizer.prompt_ids(teacher_messages(teacher, demonstration, lesson))
    assert len(teacher_ids) > len(student_ids)
    assert teacher_ids[-3:] == student_ids[-3:]


def test_every_preset_names_a_context_that_exists() -> None:
    named = [preset.choices.get("teacher.context") for preset in PRESETS.values()]
    assert {choice.value for choice in named if choice} <= set(CONTEXTS)
