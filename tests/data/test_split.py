"""The split is seeded, disjoint and whole, and never parts the rows of one prompt."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.data.demonstration import Demonstration, Message
from backend.data.report import FileError
from backend.data.split import (
    drop_duplicates,
    drop_leaks,
    parse_held_out,
    prompt_key,
    split_rows,
)


def row(number: int, prompt: str, answer: str = "x") -> Demonstration:
    return Demonstration(
        id=f"row-{number}",
        row=number,
        messages=(Message(role="user", content=prompt),),
        demonstration=answer,
    )


def rows_of(texts: list[tuple[str, str]]) -> list[Demonstration]:
    rows, _ = drop_duplicates(row(i, *text) for i, text in enumerate(texts, 1))
    return rows


# Few letters, so that prompts often meet, also by spaces and case.
SHORT = st.text("aAb ", min_size=1, max_size=3)
TASKS = (
    st.lists(st.tuples(SHORT, SHORT), min_size=2, max_size=30)
    .map(rows_of)
    .filter(lambda rows: len({prompt_key(r) for r in rows}) > 1)
)


@given(TASKS, st.floats(0.01, 0.99), st.integers(0, 5))
def test_the_parts_are_disjoint_whole_and_never_empty(
    rows: list[Demonstration], share: float, seed: int
) -> None:
    training, held_out = split_rows(rows, share, seed)
    assert training
    assert held_out
    assert sorted([*training, *held_out], key=lambda r: r.row) == rows
    assert training == sorted(training, key=lambda r: r.row)
    assert not {prompt_key(r) for r in training} & {prompt_key(r) for r in held_out}


@given(TASKS, st.integers(0, 5), st.data())
def test_the_split_depends_on_seed_and_texts_alone(
    rows: list[Demonstration], seed: int, data: st.DataObject
) -> None:
    _, first = split_rows(rows, 0.5, seed)
    shuffled = data.draw(st.permutations(rows))
    _, second = split_rows(shuffled, 0.5, seed)
    assert {prompt_key(r) for r in first} == {prompt_key(r) for r in second}
    assert split_rows(rows, 0.5, seed) == split_rows(list(rows), 0.5, seed)


@given(TASKS, st.data())
def test_a_wanted_number_is_never_exceeded_by_more_than_one_prompt_needs(
    rows: list[Demonstration], data: st.DataObject
) -> None:
    wanted = data.draw(st.integers(1, len(rows) - 1))
    _, held_out = split_rows(rows, wanted, 0)
    assert len(held_out) <= wanted or len({prompt_key(r) for r in held_out}) == 1


def test_a_number_of_different_prompts_is_held_out_exactly() -> None:
    rows = rows_of([(f"p{i}", "x") for i in range(50)])
    for wanted in (1, 7, 49):
        assert len(split_rows(rows, wanted, 3)[1]) == wanted
    assert len(split_rows(rows, 0.2, 3)[1]) == 10
    assert len(split_rows(rows, 0.001, 3)[1]) == 1
    assert len(split_rows(rows, 0.999, 3)[1]) == 49


def test_seeds_differ() -> None:
    rows = rows_of([(f"p{i}", "x") for i in range(50)])
    assert split_rows(rows, 0.5, 0) != split_rows(rows, 0.5, 1)


def test_rows_added_later_move_few_others() -> None:
    rows = rows_of([(f"p{i}", "x") for i in range(100)])
    before = {r.prompt for r in split_rows(rows, 0.2, 0)[1]}
    more = [*rows, *(row(1000 + i, f"q{i}") for i in range(10))]
    after = {r.prompt for r in split_rows(more, 0.2, 0)[1]}
    assert len(before & after) >= 15


def test_doubles_are_dropped_but_other_answers_kept() -> None:
    rows, dropped = drop_duplicates(
        [row(1, "a"), row(2, "a"), row(3, "a", "y"), row(4, "A"), row(5, "a")]
    )
    assert [r.row for r in rows] == [1, 3, 4]
    assert dropped == 2


def test_a_system_message_makes_another_prompt() -> None:
    system = Message(role="system", content="s")
    asked = row(1, "a")
    told = asked.model_copy(update={"messages": (system, *asked.messages)})
    assert prompt_key(asked) != prompt_key(told)
    assert drop_duplicates([asked, told])[1] == 0


def test_training_rows_of_held_out_prompts_are_dropped() -> None:
    training = [row(1, "a"), row(2, "b"), row(3, " B ", "y")]
    assert drop_leaks(training, [row(1, "b", "z")]) == training[:1]


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        (0, "cannot hold out 0 rows of 3 distinct ones; hold out at least 1 and at most 2"),
        (3, "cannot hold out 3 rows of 3"),
        (-1, "cannot hold out -1 rows"),
        (0.0, "cannot hold out a share of 0; give a share between 0 and 1"),
        (1.0, "cannot hold out a share of 1;"),
        (float("nan"), "cannot hold out a share of nan"),
    ],
)
def test_an_impossible_part_is_refused(held_out: float | int, message: str) -> None:
    with pytest.raises(FileError) as caught:
        split_rows(rows_of([("a", "x"), ("b", "x"), ("c", "x")]), held_out, 0)
    assert str(caught.value).startswith(message)


def test_the_option_is_a_share_a_number_or_a_file() -> None:
    assert parse_held_out("0.2") == 0.2
    assert parse_held_out("40") == 40
    assert isinstance(parse_held_out("40"), int)
    assert parse_held_out("held_out.jsonl") == Path("held_out.jsonl")
