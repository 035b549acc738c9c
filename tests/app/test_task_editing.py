"""What the Tasks page does to rows: whatever is sent, it is done or answered in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.pages.task_doing import Doings
from app.pages.task_editing import (
    answered,
    save_edits,
    start_search,
    stop_search,
    try_answer,
    write_rows,
)
from app.pages.task_opened import leaks, opened
from backend.bootstrap import build_lab
from backend.jobs.launchers import LAUNCHERS
from backend.lab import Lab
from backend.settings import Settings
from tests.lab.tiny_tasks import rows
from tests.lab.tiny_tasks import write_rows as write_file


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = build_lab(Settings(home=tmp_path / "home"), LAUNCHERS["inline"])
    lab.add_task(write_file(tmp_path / "x.jsonl", rows(6)), "lights", held_out="2")
    yield lab
    lab.close()


def test_edits_are_made_to_the_version_that_was_shown(lab: Lab) -> None:
    lab.edit_task("lights", {"exclude": [1]})
    sent = {"task": "lights@1", "changes": {"change": {"2": {"prompt": "new"}}}}
    assert answered(lab, save_edits, sent) == {"go": "tasks?task=lights&version=3&added=edited"}
    assert lab.task("lights")["versions"][2]["origin"]["edited_from"] == 1
    assert answered(lab, save_edits, sent)["go"].endswith("version=3&added=known")


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (None, "nothing is changed yet"),
        ({"task": "lights@1", "changes": [3]}, "nothing is changed yet"),
        ({"task": "lights@1", "changes": {"exclude": [], "change": {}}}, "nothing is changed yet"),
        ({"task": "lights@1", "changes": {"exclude": ["x"]}}, "exclude"),
        ({"task": "lights@1", "changes": {"exclude": [99]}}, "there is no row 99"),
        ({"task": "lights@1", "changes": {"add": [{"prompt": "x"}]}}, '"demonstration" is missing'),
        ({"task": 7, "changes": {"exclude": [1]}}, 'there is no task ""'),
    ],
)
def test_edits_that_cannot_be_made_are_answered(lab: Lab, sent: Any, told: str) -> None:
    found = answered(lab, save_edits, sent)
    assert told in found["sentence"]
    assert len(lab.task("lights")["versions"]) == 1


def test_a_task_is_written_under_the_checks_of_a_file(lab: Lab) -> None:
    typed = [{"prompt": f"p{i}", "demonstration": f"a{i}"} for i in range(4)]
    sent = {"name": "by-hand", "scorer": "exact", "held_out": "0.25", "rows": typed}
    assert answered(lab, write_rows, sent) == {"go": "tasks?task=by-hand&version=1&added=new"}
    for change, where in (
        ({"name": "a b"}, "name"),
        ({"scorer": "none"}, "scorer"),
        ({"held_out": "/etc/passwd"}, "held_out"),
        ({"rows": "x"}, "rows"),
    ):
        assert answered(lab, write_rows, {**sent, **change})["where"] == where
    faulty = answered(lab, write_rows, {**sent, "rows": [*typed, {"prompt": "p"}]})
    assert (faulty["problems"][0]["row"], faulty["problems"][0]["field"]) == (5, "demonstration")


def test_answers_are_tried_and_refused_as_on_the_command_line(lab: Lab) -> None:
    sent = {"task": "lights@1", "row": 1, "answer": "?", "scorer": "regex:."}
    assert answered(lab, try_answer, sent)["tried"]["score"] == 1.0
    assert "which is off" in answered(lab, try_answer, {**sent, "scorer": "code"})["sentence"]
    assert "there is no row" in answered(lab, try_answer, {**sent, "row": "1"})["sentence"]
    assert "characters" in answered(lab, try_answer, {**sent, "answer": "x" * 200_001})["sentence"]


def test_one_search_at_a_time_and_only_a_search_is_ended(lab: Lab) -> None:
    sent = {"task": "lights@1"}
    run = start_search(lab, sent)
    assert start_search(lab, sent) == run
    (training,) = lab.train(lab.configure({"task": "lights", "method": "sft"}))
    assert answered(lab, stop_search, sent) == {"run": run}
    assert [lab.run(each)["state"] for each in (run, training)] == ["cancelled", "queued"]
    assert leaks(lab, {"task": "lights", "show": "leaks"})["search"]["state"] == "cancelled"
    assert leaks(lab, {"task": "none", "show": "leaks"}) == {"none": True}


@pytest.mark.parametrize(
    "query",
    [
        {"sort": "forged"},
        {"row": "99"},
        {"row": "2", "context": "forged"},
        {"row": "2", "model": "../.."},
        {"show": "lengths", "model": "../.."},
        {"show": "lengths", "new_tokens": "²"},
        {"show": "changes", "against": "77"},
        {"show": "changes"},
        {"version": "9"},
    ],
)
def test_whatever_the_address_says_is_answered(lab: Lab, query: dict[str, str]) -> None:
    assert len(opened(lab, {"task": "lights", **query}, Doings())) == 5
