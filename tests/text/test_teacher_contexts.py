"""The exact words of each context, and free templates that survive any text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.config import TeacherConfig
from backend.data.demonstration import Demonstration, Message
from backend.errors import ConfigError, DataError
from backend.text.contexts import (
    Lesson,
    has_lesson,
    student_messages,
    teacher_messages,
)

SYSTEM = Message(role="system", content="Be kind.")


def user(text: str) -> Message:
    return Message(role="user", content=text)


def assistant(text: str) -> Message:
    return Message(role="assistant", content=text)


def demonstration(*messages: Message, answer: str = "light.on()") -> Demonstration:
    return Demonstration(id="1", row=1, messages=messages, demonstration=answer)


def teach(context: str, row: Demonstration, template: str | None = None) -> list[Message]:
    return list(teacher_messages(TeacherConfig(context=context, template=template), row))


def test_the_student_reads_the_prompt_alone() -> None:
    row = demonstration(SYSTEM, user("Turn it on"))
    assert student_messages(row) == row.messages


def test_paper_shows_the_demonstration_after_the_question() -> None:
    assert teach("paper", demonstration(SYSTEM, user("Turn it on"))) == [
        SYSTEM,
        user(
            "Turn it on\n\n"
            "This is an example for a response to the question:\n"
            "light.on()\n\n"
            "Now answer with a response of your own, including the thinking process:"
        ),
    ]


def test_paper_keeps_earlier_turns() -> None:
    shown = teach("paper", demonstration(user("a"), assistant("b"), user("c")))
    assert shown[:2] == [user("a"), assistant("b")]
    assert shown[2].content.startswith("c\n\nThis is an example")


def test_earlier_turn_shows_the_question_answered_then_again() -> None:
    exchange = [user("Turn it on"), assistant("light.on()")]
    row = demonstration(SYSTEM, user("Turn it on"))
    assert teach("earlier-turn", row) == [SYSTEM, *exchange, user("Turn it on")]
    assert teach("earlier-turn-twice", row) == [SYSTEM, *exchange, *exchange, user("Turn it on")]


def test_earlier_turn_repeats_what_a_tool_returned() -> None:
    asked = [user("a"), assistant("look()"), Message(role="tool", content="found")]
    shown = teach("earlier-turn", demonstration(user("x"), assistant("y"), *asked))
    assert shown == [user("x"), assistant("y"), *asked, assistant("light.on()"), *asked]


def test_answer_first_tells_the_answer_before_the_question() -> None:
    assert teach("answer-first", demonstration(user("Turn it on"))) == [
        user("The expected answer is: light.on()\n\nTurn it on")
    ]


def test_system_extends_or_adds_the_system_message() -> None:
    line = "Here is an example of a good response to the user's next request:\nlight.on()"
    added = Message(role="system", content=line)
    extended = Message(role="system", content=f"Be kind.\n\n{line}")
    assert teach("system", demonstration(user("a"))) == [added, user("a")]
    assert teach("system", demonstration(SYSTEM, user("a"))) == [extended, user("a")]


def test_a_free_template_places_both_texts() -> None:
    template = "[{demonstration}] {{json}} ${prompt} {other} {demonstration}"
    shown = teach("template", demonstration(user("Turn it on")), template)
    assert shown == [user("[light.on()] {{json}} $Turn it on {other} light.on()")]


@given(prompt=st.text(), answer=st.text(), before=st.text("ab{}$ "), after=st.text("ab{}$ "))
def test_user_text_survives_any_template(prompt: str, answer: str, before: str, after: str) -> None:
    template = f"{before}{{demonstration}}|{{prompt}}{after}"
    row = demonstration(user(prompt), answer=answer)
    assert teach("template", row, template) == [user(f"{before}{answer}|{prompt}{after}")]


@pytest.mark.parametrize("missing", ["prompt", "demonstration"])
def test_a_template_without_a_placeholder_is_refused(missing: str) -> None:
    template = "{prompt} {demonstration}".replace(f"{{{missing}}}", "")
    with pytest.raises(ConfigError, match=rf"teacher\.template: the template has no {{{missing}}}"):
        teach("template", demonstration(user("a")), template)


def test_an_unknown_context_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match='no context "earlier-turns"; did you mean "earlier-turn'):
        teach("earlier-turns", demonstration(user("a")))


def test_a_prompt_without_a_user_turn_is_refused() -> None:
    with pytest.raises(DataError, match="the prompt has no user turn"):
        teach("paper", demonstration(SYSTEM))


def taught(context: str, row: Demonstration, lesson: Lesson, **teacher: int) -> list[Message]:
    return list(teacher_messages(TeacherConfig(context=context, **teacher), row, lesson))


def test_several_shows_other_rows_before_the_own_one() -> None:
    """After the system message; never the row itself as another one."""
    row = demonstration(SYSTEM, user("Turn it on"))
    others = tuple(
        Demonstration(id=name, row=2, messages=(SYSTEM, user(f"{name}?")), demonstration=name)
        for name in ("a", "b", "c")
    )
    own = [user("Turn it on"), assistant("light.on()"), user("Turn it on")]
    lesson = Lesson(others=(row, *others))
    assert taught("several", row, lesson) == [
        SYSTEM, user("a?"), assistant("a"), user("b?"), assistant("b"), *own,
    ]  # fmt: skip
    assert taught("several", row, lesson, examples=1) == [SYSTEM, user("a?"), assistant("a"), *own]
    assert taught("several", row, Lesson()) == teach("earlier-turn", row)


@pytest.mark.parametrize(
    ("reference", "shown"), [("why: on", "why: on"), (("a", "b"), "a\nb"), (None, "light.on()")]
)
def test_a_reference_solution_is_the_reference_or_the_demonstration(
    reference: str | tuple[str, ...] | None, shown: str
) -> None:
    row = demonstration(user("Turn it on")).model_copy(update={"reference": reference})
    (seen,) = teach("reference-solution", row)
    assert seen.content.startswith(
        f"Turn it on\n\nHere is a reference solution to this problem:\n{shown}\n\n\nAfter"
    )
    exchange = [user("Turn it on"), assistant(shown)]
    assert teach("reference-earlier-turn", row) == [*exchange, *exchange, user("Turn it on")]


def test_lessons_of_a_group_are_shown_where_there_are_any() -> None:
    row = demonstration(SYSTEM, user("Turn it on"))
    both, feedback = Lesson(sibling="on!", feedback="no"), Lesson(feedback="no")
    told = "Turn it on\n{}\n\nCorrectly solve the original question."
    sibling = told.format("Correct solution:\n\non!")
    failed = told.format("The following is feedback from your unsuccessful earlier attempt:\n\nno")
    assert taught("successful-sibling", row, both) == [SYSTEM, user(sibling)]
    assert taught("sibling-or-feedback", row, both) == [SYSTEM, user(sibling)]
    assert taught("sibling-or-feedback", row, feedback) == [SYSTEM, user(failed)]
    assert taught("feedback", row, both) == [SYSTEM, user(failed)]
    for context, lesson in (("successful-sibling", feedback), ("feedback", Lesson(sibling="x"))):
        assert taught(context, row, lesson) == list(row.messages)
        assert not has_lesson(TeacherConfig(context=context), row, lesson)
    assert has_lesson(TeacherConfig(context="prompt-only"), row, Lesson())
    assert teach("prompt-only", row) == list(row.messages)
