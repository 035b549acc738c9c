"""A scorer suits rows whose own right answers it takes for right; else it is said, with a row."""

from __future__ import annotations

import pytest

from backend.data.demonstration import Demonstration, Message
from backend.evaluation.scorers import choose
from backend.evaluation.suitability import MOST_ROWS, unsuited


def row(demonstration: str, reference: str | tuple[str, ...] | None = None) -> Demonstration:
    turn = Message(role="user", content="a question")
    return Demonstration(
        id="a", row=5, messages=(turn,), demonstration=demonstration, reference=reference
    )


@pytest.mark.parametrize(
    ("scorer", "good", "bad", "reason"),
    [
        ("json", row('{"a": 1}'), row("no json"), "row 5: the reference is not JSON"),
        ("number", row("it is 42"), row("many"), "row 5: "),
        ("choice", row("B"), row("the second one"), "row 5: "),
        (r"regex:answer is (\d+)", row("The answer is 42", "42"), row("42 it is", "42"), "row 5: "),
        ("regex:^light", row("light.on(1)"), row("dark"), "row 5: "),
        ("tool-calls", row('Action: f\nAction Input: {"n": 1}'), row("just words"), "row 5: "),
        ("exact", row("a long way to 42", "42"), None, ""),
        ("exact", row("in parts", ("a", "b")), None, ""),
        ("parts", row("in parts", ("a", "b")), None, ""),
        ("word-f1", row("some words"), None, ""),
        ("normalised", row("Some words!"), None, ""),
    ],
)
def test_a_row_that_a_scorer_cannot_judge_is_told_of(
    scorer: str, good: Demonstration, bad: Demonstration | None, reason: str
) -> None:
    chosen = choose(scorer)
    assert unsuited(chosen, [good, good])[0] == 0
    if bad is not None:
        count, words = unsuited(chosen, [good, bad, bad])
        assert count == 2
        assert words.startswith(
            f"the scorer {chosen.scorer.name} does not suit 2 of 3 held-out rows"
        )
        assert reason in words


def test_scorers_that_run_programs_or_ask_are_not_tried() -> None:
    assert unsuited(choose("judge:m"), [row("x")])[0] == 0
    assert unsuited(choose("code"), [row("x")])[0] == 0


def test_only_the_first_of_many_rows_are_tried() -> None:
    _, words = unsuited(choose("json"), [row("x")] * (MOST_ROWS + 5))
    assert "of 2,000 held-out rows" in words
