"""Rows edited by hand: excluded, changed, added, and refused where they would spoil the task."""

from __future__ import annotations

from typing import Any

import pytest

from backend.data.demonstration import Demonstration, Message
from backend.data.editing import Changes, Edited, edit_rows
from backend.data.report import ReportedDataError
from backend.errors import DataError


def row(number: int, **more: Any) -> Demonstration:
    return Demonstration(
        id=f"row-{number}",
        row=number,
        messages=(Message(role="user", content=f"p{number}"),),
        demonstration=f"a{number}",
        **more,
    )


def edit(**changes: Any) -> Edited:
    """Four training rows and two held-out ones, changed."""
    rows = [(row(i), "training" if i < 5 else "held_out") for i in range(1, 7)]
    return edit_rows(rows, 6, Changes(**changes), "exact", None)


def refusal(**changes: Any) -> ReportedDataError:
    with pytest.raises(ReportedDataError) as caught:
        edit(**changes)
    return caught.value


def test_rows_are_left_out_changed_and_added() -> None:
    edited = edit(
        exclude=[2, 6],
        change={1: {"demonstration": "new", "tags": ["x"]}},
        add=[{"prompt": "p9", "demonstration": "a9"}, {"prompt": "h", "demonstration": "i",
              "split": "test"}],
    )  # fmt: skip
    assert [r.demonstration for r in edited.training] == ["new", "a3", "a4", "a9"]
    assert [r.demonstration for r in edited.held_out] == ["a5", "i"]
    assert edited.training[0].tags == ("x",)
    assert edited.training[0].id == "row-1"
    assert edited.training[3].id == "row-7"


def test_a_row_can_change_sides() -> None:
    assert [r.row for r in edit(change={1: {"split": "held_out"}}).held_out] == [1, 5, 6]


def test_no_change_is_the_same_content() -> None:
    assert edit().content_hash == edit(change={1: {"demonstration": "a1"}}).content_hash
    assert edit().content_hash != edit(exclude=[1]).content_hash


def test_a_row_may_become_a_conversation() -> None:
    turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]
    (first, *_) = edit(change={1: {"messages": turns}}).training
    assert (first.prompt, first.demonstration) == ("x", "y")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"change": {1: {"prompt": " "}}}, 'rows, row 1: "prompt" is empty; add a prompt'),
        ({"add": [{"prompt": "x"}]}, 'rows, row 7: "demonstration" is missing'),
        ({"change": {1: {"answer": "x"}}}, 'rows, row 1: "answer" is no field of a row; use'),
        (
            {"change": {2: {"prompt": "p1", "demonstration": "a1"}}},
            "rows, row 2: it is the same as row 1",
        ),
        ({"change": {2: {"id": "row-1"}}}, "rows, row 2: it has the id of row 1"),
        (
            {"change": {2: {"prompt": "P5 "}}},
            "rows, row 2: its prompt also stands in the held-out row 5",
        ),
        ({"change": {2: {"split": "other"}}}, 'rows, row 2: "split" is "other"; write train'),
    ],
)
def test_a_faulty_edit_is_refused(changes: dict[str, Any], message: str) -> None:
    assert str(refusal(**changes)).startswith(message)


def test_a_place_without_a_row_and_an_empty_side_are_refused() -> None:
    for wrong in ({"exclude": [7]}, {"change": {0: {}}}):
        with pytest.raises(DataError, match="there is no row"):
            edit(**wrong)
    with pytest.raises(DataError, match="no held-out row would be left"):
        edit(exclude=[5, 6])
