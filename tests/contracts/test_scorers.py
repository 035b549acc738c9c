"""What every scorer keeps to, and what tells them apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.data.demonstration import Demonstration, Message
from backend.evaluation.scorers import SCORERS, Target, score, strip_thinking

every_scorer = pytest.mark.parametrize("name", SCORERS)
REFERENCES: list[Target] = ["light.on()", "The answer is 4.", ("red", "Blue"), "é 世界 🙂", "42"]


def row(reference: Target | None, demonstration: str = "a demonstration") -> Demonstration:
    return Demonstration(
        id="1",
        row=1,
        messages=(Message(role="user", content="?"),),
        demonstration=demonstration,
        reference=reference,
    )


def as_answer(reference: Target) -> str:
    return reference if isinstance(reference, str) else "\n".join(reference)


@every_scorer
@pytest.mark.parametrize("reference", REFERENCES, ids=str)
def test_the_reference_itself_scores_1_and_something_else_0(name: str, reference: Target) -> None:
    right = score(name, as_answer(reference), row(reference))
    wrong = score(name, "no such thing", row(reference))
    assert (right.value, wrong.value) == (1.0, 0.0)
    assert right.reason
    assert wrong.reason
    assert right.reason != wrong.reason


@every_scorer
def test_without_a_reference_the_demonstration_is_the_target(name: str) -> None:
    assert score(name, "a demonstration", row(None)).value == 1.0
    assert score(name, "something else", row(None)).value == 0.0
    assert score(name, "a demonstration", row("another reference")).value == 0.0


@every_scorer
def test_white_space_around_an_answer_does_not_matter(name: str) -> None:
    assert score(name, "  light.on()\n\n", row("light.on()")).value == 1.0
    assert score(name, "light.on()", row("\tlight.on() ")).value == (name != "parts")


THOUGHTS = [
    "<think>It may be light.off().</think>light.on()",
    "<think>\nfirst\n</think>\n\nlight.on()",
    "<think></think>light.on()",
    "light.on()<think>am I sure? light.off()",
    "<think>a</think>light.<think>b</think>on()",
    # Some chat templates open the block themselves, so that only its end is written.
    "It may be light.off().\n</think>\n\nlight.on()",
]


@every_scorer
@pytest.mark.parametrize("answer", THOUGHTS)
def test_thinking_is_stripped_before_scoring(name: str, answer: str) -> None:
    """Checklist 28."""
    assert strip_thinking(answer) == "light.on()"
    assert score(name, answer, row("light.on()")).value == 1.0


@every_scorer
def test_a_right_thought_without_an_answer_scores_0(name: str) -> None:
    """Checklist 28."""
    for answer in ("<think>light.on()</think>", "<think>light.on()", "light.on()</think>no"):
        assert score(name, answer, row("light.on()")).value == 0.0


@every_scorer
@given(answer=st.text(), reference=st.text(min_size=1) | st.tuples(st.text(), st.text()))
def test_any_text_gets_a_score_with_a_reason(name: str, answer: str, reference: Target) -> None:
    given_score = score(name, answer, row(reference))
    assert 0.0 <= given_score.value <= 1.0
    assert given_score.reason


CASES = [
    # answer, reference, exact, normalised, parts
    ("light.on()", "light.on()", 1, 1, 1),
    ("Light.On()", "light.on()", 0, 1, 1),
    ("light on", "light.on()", 0, 1, 0),
    ("The answer is: four!", "answer is four", 0, 1, 0),
    ("I say light.on() now", "light.on()", 0, 0, 1),
    ("ﬁne  THE\n day", "fine day", 0, 1, 0),
    ("blue and RED", ("red", "Blue"), 0, 0, 1),
    ("red", ("red", "Blue"), 0, 0, 0),
    ("", "light.on()", 0, 0, 0),
]


@pytest.mark.parametrize(("answer", "reference", "exact", "normalised", "parts"), CASES)
def test_scorers_differ_in_what_they_forgive(
    answer: str, reference: Target, exact: int, normalised: int, parts: int
) -> None:
    values = {name: score(name, answer, row(reference)).value for name in SCORERS}
    assert values == {"exact": exact, "normalised": normalised, "parts": parts}


def test_missing_parts_are_named() -> None:
    assert score("parts", "red", row(("red", "Blue"))).reason == "lacks 'Blue'"
