"""Tasks as their page reads them: lists, pages of rows, and a file before it is added."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.errors import DataError, NotFound
from backend.lab import Lab
from backend.settings import Settings
from tests.lab.tiny_tasks import rows, write_rows


def add(lab: Lab, tmp_path: Path, count: int = 8, name: str = "lights") -> None:
    lab.add_task(write_rows(tmp_path / "x.jsonl", rows(count)), name, held_out="3")


def test_an_empty_lab_has_no_tasks(lab: Lab) -> None:
    assert lab.views.tasks() == []


def test_a_task_is_listed_at_its_newest_version_with_its_runs(lab: Lab, tmp_path: Path) -> None:
    add(lab, tmp_path)
    (run,) = lab.train(lab.configure({"task": "lights", "method": "sft"}))
    add(lab, tmp_path, 10)
    (task,) = lab.views.tasks()
    assert (task["name"], task["version"]) == ("lights", 2)
    assert task["rows"] == {"training": 7, "held_out": 3}
    assert [(r["id"], r["version"], r["state"]) for r in task["runs"]] == [(run, 1, "queued")]
    assert lab.views.task("lights")["runs"] == []
    assert [r["id"] for r in lab.views.task("lights", "1")["runs"]] == [run]


def test_only_the_newest_runs_are_listed_and_the_rest_counted(lab: Lab, tmp_path: Path) -> None:
    add(lab, tmp_path)
    configs = lab.configure({"task": "lights", "method": "sft"})
    ids = [lab.train(configs)[0] for _ in range(8)]
    (task,) = lab.views.tasks()
    assert [run["id"] for run in task["runs"]] == ids[:1:-1]
    assert task["runs_left_off"] == 2


def test_rows_come_in_pages_training_rows_first(lab: Lab, tmp_path: Path) -> None:
    lab.add_task(write_rows(tmp_path / "x.jsonl", rows(120)), "many", held_out="30")
    first, last = lab.views.task_rows("many"), lab.views.task_rows("many", page=99)
    assert [len(first["rows"]), len(last["rows"])] == [50, 20]
    assert (first["page"], last["page"], last["pages"], last["count"]) == (1, 3, 3, 120)
    assert [row["place"] for row in last["rows"]] == list(range(101, 121))
    assert {row["part"] for row in last["rows"]} == {"held_out"}
    apart = lab.views.task_rows("many", part="held_out")
    assert (apart["count"], apart["rows"][0]["place"]) == (30, 91)
    assert lab.views.task_rows("many", part="forged")["part"] == ""


@pytest.mark.parametrize("version", ["9", "x", "-1", "1" * 40, "1@1"])
def test_a_version_that_is_not_there_is_said(lab: Lab, tmp_path: Path, version: str) -> None:
    add(lab, tmp_path)
    with pytest.raises(NotFound, match="has no version"):
        lab.views.task("lights", version)


def test_a_checked_file_is_described_and_not_stored(lab: Lab, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "x.jsonl", rows(8))
    found = lab.views.check_upload(file, "lights", held_out=3)
    assert (found["version"], found["is_new"]) == (1, True)
    assert found["rows"] == {"training": 5, "held_out": 3}
    assert found["mapping"]["columns"]["prompt"]["column"] == "prompt"
    assert found["split"]["by"] == "count"
    assert lab.views.tasks() == []
    assert not (lab.settings.home / "uploads").exists()


def test_a_checked_file_says_which_version_it_would_become(lab: Lab, tmp_path: Path) -> None:
    add(lab, tmp_path)
    same = lab.views.check_upload(tmp_path / "x.jsonl", "lights", held_out=3)
    assert (same["version"], same["is_new"]) == (1, False)
    other = lab.views.check_upload(tmp_path / "x.jsonl", "lights", held_out=2)
    assert (other["version"], other["is_new"]) == (2, True)


def test_checking_finds_what_adding_would(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text('{"prompt": "a", "answer": "b"}\n{"prompt": "c"}\n')
    with pytest.raises(DataError) as checked:
        lab.views.check_upload(file, "lights")
    with pytest.raises(DataError) as added:
        lab.add_task(file, "lights")
    assert str(checked.value) == str(added.value)
    assert checked.value.details == added.value.details
    for name, scorer, where in (("a b", "exact", "name"), ("a", "none", "scorer")):
        with pytest.raises(DataError) as refused:
            lab.views.check_upload(file, name, scorer=scorer)
        assert refused.value.where == where


def test_the_sample_is_a_task_that_the_loop_can_be_tried_with(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "sample.jsonl"
    file.write_text(lab.views.sample())
    assert set(json.loads(file.read_text().splitlines()[0])) == {"prompt", "demonstration"}
    found = lab.views.check_upload(file, "sample")
    assert found["report"]["problems"] == []
    assert sum(found["rows"].values()) >= 20


def test_more_held_out_rows_make_a_score_say_more(lab: Lab) -> None:
    few, more = lab.views.intervals([30, 100])
    assert few["high"] - few["low"] > 0.3
    # With 100 rows, a score lies within 10 points of what it would be on all.
    assert 0.18 < more["high"] - more["low"] < 0.2


def test_settings_limit_the_size_of_what_is_checked(tmp_path: Path, lab: Lab) -> None:
    lab.views._settings = Settings(home=lab.settings.home, max_upload_mib=1)
    file = tmp_path / "x.jsonl"
    file.write_text('{"prompt": "a", "answer": "b"}\n' * 40_000)
    with pytest.raises(DataError, match="the limit is 1 MiB"):
        lab.views.check_upload(file, "lights")
