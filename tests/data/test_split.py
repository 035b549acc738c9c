"""The split is seeded, disjoint and whole, and never parts the rows of one prompt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.data.demonstration import Demonstration, Message
from backend.data.gathering import Gathering
from backend.data.load import KEYS, marker_of
from backend.data.parting import MAIN, distinct, part, part_by_file
from backend.data.report import FileError, Findings
from backend.data.split import Chosen, HeldOut, Together, parse_held_out, prompt_key
from backend.errors import DataError

Rows = list[Demonstration]


def row(number: int, prompt: str, answer: str = "x") -> Demonstration:
    return Demonstration(
        id=f"row-{number}",
        row=number,
        messages=(Message(role="user", content=prompt),),
        demonstration=answer,
    )


def rows_of(texts: list[tuple[str, str]]) -> Rows:
    return drop_duplicates([row(i, *text) for i, text in enumerate(texts, 1)])[0]


def gather(
    rows: Rows, seed: int = 0, together: Together = "prompt", held_out: HeldOut = None
) -> Gathering:
    marker = marker_of(held_out) if isinstance(held_out, Chosen) else lambda row: False
    gathered = Gathering(seed, None, KEYS[together], marker)
    for each in rows:
        gathered.add(each, None, MAIN)
    return gathered


def drop_duplicates(rows: Rows) -> tuple[Rows, int]:
    gathered = gather(rows)
    kept = distinct(gathered, MAIN, Findings())
    return list(gathered.rows(kept)), len(rows) - len(kept)


def split_rows(
    rows: Rows, held_out: HeldOut, seed: int, together: Together = "prompt"
) -> tuple[Rows, Rows]:
    gathered = gather(rows, seed, together, held_out)
    places = np.arange(len(rows))
    parted = part(gathered, places, held_out, together, Findings())
    return list(gathered.rows(parted.training)), list(gathered.rows(parted.held_out))


def drop_leaks(training: Rows, held_out: Rows) -> Rows:
    gathered = gather([*training, *held_out])
    places = np.arange(len(gathered))
    kept = part_by_file(gathered, places[: len(training)], places[len(training) :], Findings())
    return list(gathered.rows(kept.training))


# Few letters, so that prompts often meet, also by spaces and case.
SHORT = st.text("aAb ", min_size=1, max_size=3)
TASKS = (
    st.lists(st.tuples(SHORT, SHORT), min_size=2, max_size=30)
    .map(rows_of)
    .filter(lambda rows: len({prompt_key(r) for r in rows}) > 1)
)


@settings(deadline=None)
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


@settings(deadline=None)
@given(TASKS, st.integers(0, 5), st.data())
def test_the_split_depends_on_seed_and_texts_alone(
    rows: list[Demonstration], seed: int, data: st.DataObject
) -> None:
    _, first = split_rows(rows, 0.5, seed)
    shuffled = data.draw(st.permutations(rows))
    _, second = split_rows(shuffled, 0.5, seed)
    assert {prompt_key(r) for r in first} == {prompt_key(r) for r in second}
    assert split_rows(rows, 0.5, seed) == split_rows(list(rows), 0.5, seed)


@settings(deadline=None)
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


def grouped(number: int, group: str | None, tags: tuple[str, ...] = ()) -> Demonstration:
    return row(number, f"p{number}").model_copy(update={"group": group, "tags": tags})


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcde"), min_size=2, max_size=30), st.integers(0, 5))
def test_rows_of_one_group_stay_on_one_side(groups: list[str], seed: int) -> None:
    rows = [grouped(i, group) for i, group in enumerate(groups, 1)]
    if len(set(groups)) == 1:
        with pytest.raises(FileError, match="are of one group, so none can be held out"):
            split_rows(rows, 0.3, seed, "group")
        return
    training, held_out = split_rows(rows, 0.3, seed, "group")
    assert training
    assert held_out
    assert not {r.group for r in training} & {r.group for r in held_out}
    assert sorted([*training, *held_out], key=lambda r: r.row) == rows


def test_a_prompt_that_stands_in_two_groups_keeps_both_together() -> None:
    rows = [grouped(i, group) for i, group in enumerate("aabbcc", 1)]
    shared = row(7, "p1", "y").model_copy(update={"group": "b"})
    for seed in range(5):
        _, held_out = split_rows([*rows, shared], 2, seed, "group")
        assert {r.group for r in held_out} == {"c"}


def test_rows_without_a_group_are_drawn_by_their_prompts() -> None:
    rows = [grouped(i, None) for i in range(1, 21)]
    assert split_rows(rows, 0.2, 3, "group") == split_rows(rows, 0.2, 3)


def test_rows_of_a_first_tag_stay_together() -> None:
    rows = [grouped(i, None, (tag, "all")) for i, tag in enumerate("aabbcc", 1)]
    training, held_out = split_rows(rows, 0.3, 0, "tag")
    assert len({r.tags[0] for r in held_out}) == 1
    assert not {r.tags[0] for r in training} & {r.tags[0] for r in held_out}


def test_tags_and_groups_can_be_held_out_by_name() -> None:
    rows = [grouped(i, group, (group, "x")) for i, group in enumerate("aabbcc", 1)]
    for by in ("tag", "group"):
        _, held_out = split_rows(rows, Chosen(by, ("a", "c")), 0)
        assert [r.group for r in held_out] == ["a", "a", "c", "c"]
    with pytest.raises(FileError, match=r'no row has the tag "z"; choose among its tags: "x", "a"'):
        split_rows(rows, Chosen("tag", ("z",)), 0)
    with pytest.raises(FileError, match='all rows have the tag "x"'):
        split_rows(rows, Chosen("tag", ("x",)), 0)


def test_a_prompt_of_a_named_group_takes_its_other_rows_along() -> None:
    rows = [grouped(1, "a"), grouped(2, "b"), row(3, "p1", "y")]
    _, held_out = split_rows(rows, Chosen("group", ("a",)), 0)
    assert [r.row for r in held_out] == [1, 3]


def test_tags_and_groups_are_read_from_the_option() -> None:
    assert parse_held_out("tag=a, b") == Chosen("tag", ("a", "b"))
    assert parse_held_out("group=Axolotl") == Chosen("group", ("Axolotl",))
    assert parse_held_out("auto") is None
    with pytest.raises(DataError, match="names no tag; write it as"):
        parse_held_out("tag= ,")
