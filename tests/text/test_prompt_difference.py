"""What the teacher reads beyond the student, marked where a reader would see it."""

from __future__ import annotations

import pytest

from backend.data.demonstration import Message
from backend.text.contexts import CONTEXTS
from backend.text.prompt_difference import prompt_difference

SYSTEM = "<|im_start|>system\nBe brief.<|im_end|>\n"
ASKED = "<|im_start|>user\nDim the lamp.<|im_end|>\n<|im_start|>assistant\n"
SHOWN = "<|im_start|>user\nDim the lamp.<|im_end|>\n<|im_start|>assistant\nlight.dim()<|im_end|>\n"


def own(parts: list[tuple[str, bool]]) -> list[str]:
    return [text for text, is_own in parts if is_own]


def test_an_earlier_turn_is_marked_from_its_beginning_to_its_end() -> None:
    ours, theirs = prompt_difference(SYSTEM + ASKED, SYSTEM + SHOWN + ASKED)
    assert ours == [(SYSTEM + ASKED, False)]
    assert theirs == [(SYSTEM, False), (SHOWN, True), (ASKED, False)]


def test_earlier_turns_at_the_very_beginning_or_twice_are_one_mark() -> None:
    _, theirs = prompt_difference(ASKED, SHOWN + SHOWN + ASKED)
    assert theirs == [(SHOWN + SHOWN, True), (ASKED, False)]


def test_an_insertion_within_a_turn_begins_after_the_question_not_within_it() -> None:
    added = "\n\nThis is an example: light.dim() is what helps"
    student = ASKED.replace("lamp.", "lamp to help")
    teacher = student.replace("help", "help" + added)
    _, theirs = prompt_difference(student, teacher)
    assert own(theirs) == [added]


def test_texts_that_differ_on_both_sides_are_marked_on_both_by_words() -> None:
    ours, theirs = prompt_difference("Be brief and kind.\nQ", "Be brief, then very kind.\nQ")
    assert own(ours) == [" and"]
    assert own(theirs) == [", then very"]


def test_equal_prompts_have_nothing_marked_and_empty_ones_no_parts() -> None:
    assert prompt_difference(ASKED, ASKED) == ([(ASKED, False)], [(ASKED, False)])
    assert prompt_difference("", "") == ([], [])
    assert prompt_difference("", "x") == ([], [("x", True)])


def test_a_middle_too_long_to_compare_is_marked_as_a_whole() -> None:
    student, teacher = "a " * 3000 + "x", "b " * 3000 + "y"
    assert prompt_difference(student, teacher) == ([(student, True)], [(teacher, True)])


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("question", ["Dim the lamp.", "a\nb\n\na\nb", "light.dim()", ":"])
def test_the_parts_give_both_prompts_again_for_every_context(context: str, question: str) -> None:
    messages = (Message(role="user", content=question),)
    prompts = [_chat(messages), _chat(CONTEXTS[context](messages, "light.dim()"))]
    parts = prompt_difference(*prompts)
    assert ["".join(text for text, _ in each) for each in parts] == prompts


def _chat(messages: tuple[Message, ...]) -> str:
    return "".join(f"<|im_start|>{m.role}\n{m.content}<|im_end|>\n" for m in messages)
