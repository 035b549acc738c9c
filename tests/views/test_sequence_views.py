"""A sequence as the Forgetting page shows it: matrices with intervals, figures and words."""

from __future__ import annotations

import json

import pytest

from app.pages.sequence import sequence_reader
from backend.errors import NotFound
from backend.evaluation.intervals import interval
from backend.lab import Lab
from tests.views.stored_runs import add_sequence

TASKS = ("lights", "dates")
FORGETS = [(0.1, 0.2), (0.9, 0.2), (0.2, 0.8)]
KEEPS = [(0.1, 0.2), (0.7, 0.3), (0.7, 0.6)]


def test_a_matrix_has_the_intervals_and_agrees_with_the_command_line(lab: Lab) -> None:
    name = add_sequence(lab.database, TASKS, {"sft": FORGETS, "sdft": KEEPS}, "two skills")
    found = lab.views.sequence(name)
    told = lab.sequence(name)
    assert (found["name"], found["state"], found["done"], found["stages"]) == (
        "two skills", "done", 4, 4,
    )  # fmt: skip
    for arm, same in zip(found["arms"], told["arms"], strict=True):
        assert [cell["score"] for cell in arm["before"]] == same["matrix"]["b"]
        assert [[cell["score"] for cell in row] for row in arm["after"]] == same["matrix"]["R"]
        for key in ("acc", "bwt", "fwt", "forgetting"):
            assert arm[key] == same[key]
    cell, expected = found["arms"][0]["after"][0][0], interval([1.0] * 9 + [0.0])
    assert (cell["n"], cell["low"], cell["high"]) == (10, expected.low, expected.high)
    assert found["arms"][0]["forgetting"] == pytest.approx(0.7)


def test_the_finding_is_paired_over_items_and_says_what_it_cannot_tell(lab: Lab) -> None:
    name = add_sequence(lab.database, TASKS, {"sft": FORGETS, "sdft": KEEPS})
    words = lab.views.sequence_words(lab.views.sequence(name))
    forgets, keeps, against = words["found"]
    assert forgets.startswith("sft: 50% on average over the tasks at the end. Since each was ")
    assert "lights -70 points (95 % from" in forgets
    assert "lights +0 points" in keeps
    assert "so no change can be shown" in keeps
    assert against.startswith("sdft against sft at the end: lights +50 points")
    assert any("not of other seeds" in told for told in words["cautions"])


def test_seeds_of_one_method_are_told_as_a_range(lab: Lab) -> None:
    name = add_sequence(lab.database, TASKS, {"a": FORGETS, "b": KEEPS})
    found = lab.views.sequence(name)
    for arm in found["arms"]:
        arm["method"] = "sft"
    words = lab.views.sequence_words(found)
    assert words["found"][-1] == (
        "sft over 2 arms: average score from 50% to 65%, forgetting from +0 to +70 points."
    )
    assert not any("seeds" in told for told in words["cautions"])


def test_an_unfinished_sequence_shows_what_there_is(lab: Lab) -> None:
    name = add_sequence(lab.database, TASKS, {"sft": FORGETS, "sdft": [KEEPS[0], KEEPS[1], None]})
    found = lab.views.sequence(name)
    assert (found["state"], found["done"]) == ("running", 3)
    late = found["arms"][1]
    assert late["after"][1] == [None, None]
    assert (late["acc"], late["forgetting"]) == (None, None)
    words = lab.views.sequence_words(found)
    assert [told.split(":")[0] for told in words["found"]] == ["sft"]
    assert "sdft has not been through all tasks yet." in words["cautions"]


def test_the_address_names_the_sequence_and_nonsense_is_answered(lab: Lab) -> None:
    read = sequence_reader(lab)
    assert read({}) == {"listed": [], "chosen": ""}
    older = add_sequence(lab.database, TASKS, {"sft": FORGETS})
    newer = add_sequence(lab.database, TASKS, {"sft": FORGETS})
    assert {each["id"] for each in read({})["listed"]} == {older, newer}
    shown = read({"sequence": older[:8]})
    assert shown["sequence"]["id"] == older
    assert shown["sequence"]["found"]
    json.dumps(shown, allow_nan=False)
    assert "sequence" not in read({"sequence": "<script>"})
    assert 'no sequence "<script>"' in read({"sequence": "<script>"})["missing"]
    with pytest.raises(NotFound):
        lab.views.sequence("none")
