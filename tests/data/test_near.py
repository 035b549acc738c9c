"""Near-duplicates between both sides are found, all of them, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.data.demonstration import Demonstration, Message
from backend.data.near import LIKENESS, near_duplicates, near_words


def row(number: int, prompt: str) -> Demonstration:
    return Demonstration(
        id=f"row-{number}",
        row=number,
        messages=(Message(role="user", content=prompt),),
        demonstration="x",
    )


def rows(prompts: list[str]) -> list[Demonstration]:
    return [row(number, prompt) for number, prompt in enumerate(prompts, 1)]


def found(training: list[str], held_out: list[str]) -> list[tuple[int, int]]:
    near = near_duplicates(rows(training), rows(held_out))
    return [(each.held_out, each.training) for each in near]


def test_a_prompt_with_another_word_order_case_or_mark_is_near() -> None:
    training = ["please turn on the small light in the kitchen now", "something else entirely"]
    assert found(training, ["Please, turn on the small light in the KITCHEN!"]) == [(1, 1)]
    assert found(training, ["play some music in the living room"]) == []


def test_a_short_prompt_with_another_word_is_not_near() -> None:
    assert found(["turn on the light", "say 1"], ["turn off the light", "say 2"]) == []


def test_texts_without_spaces_are_compared_too() -> None:
    text = "请打开厨房里的灯并且把窗户关上谢谢你的帮助"
    assert found([text], [text.replace("你", "您")]) == [(1, 1)]


WORDS = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=8).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(st.lists(WORDS, max_size=8), st.lists(WORDS, max_size=8))
def test_it_finds_what_comparing_all_pairs_finds(training: list[str], held_out: list[str]) -> None:
    def likeness(one: str, other: str) -> float:
        first, second = set(one.split()), set(other.split())
        return len(first & second) / len(first | second)

    expected: dict[int, int] = {}
    for apart, prompt in enumerate(held_out, 1):
        for number, text in enumerate(training, 1):
            if likeness(text, prompt) >= LIKENESS:
                expected.setdefault(apart, number)
    assert dict(found(training, held_out)) == expected


def test_the_search_tells_how_far_it_is_and_can_be_ended() -> None:
    heard: list[tuple[int, int]] = []

    def told(done: int, total: int) -> None:
        heard.append((done, total))
        if done >= 1000:
            raise KeyboardInterrupt

    many = rows([f"a prompt of number {i}" for i in range(5000)])
    with pytest.raises(KeyboardInterrupt):
        list(near_duplicates(many, rows(["something else"]), told))
    assert heard == [(0, 5000), (500, 5000), (1000, 5000)]


def test_what_is_found_is_told_with_an_example() -> None:
    prompt = "turn on the small light in the kitchen"
    (near,) = near_duplicates(rows([prompt]), rows([f"{prompt} please"]))
    assert near_words([near]).startswith("1 held-out row nearly stands among the training rows")
    assert "row 1 is 88% like row 1" in near_words([near])
    assert near_words([]) == "no held-out row is nearly one of the training rows"
