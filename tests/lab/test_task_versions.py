"""Tasks by hand: previewed, written from nothing, edited, compared, exported, and their faults."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from backend.errors import ConfigError, DataError, StateError
from backend.lab import Lab, Progress
from tests.lab.tiny_tasks import rows, write_rows


def lights(lab: Lab, tmp_path: Path, **options: Any) -> dict[str, Any]:
    file = write_rows(tmp_path / "lights.jsonl", rows(6))
    return lab.add_task(file, "lights", held_out="2", **options)


def test_a_version_says_how_it_came_to_be(lab: Lab, tmp_path: Path) -> None:
    assert lights(lab, tmp_path)["origin"] == {
        "file": "lights.jsonl",
        "format": "jsonl",
        "shape": "columns",
        "reason": 'prompts in "prompt", demonstrations in "answer"',
        "keep_good": False,
        "left_out": 0,
    }
    file = write_rows(tmp_path / "more.jsonl", [*rows(6), {"prompt": "a"}])
    kept = lab.add_task(file, "lights", keep_good=True)
    assert (kept["origin"]["keep_good"], kept["origin"]["left_out"]) == (True, 1)
    assert lab.task("lights")["versions"][1]["origin"] == kept["origin"]


def test_a_mapping_is_kept_and_taken_again(lab: Lab, tmp_path: Path) -> None:
    first = [{"q": f"q{i}", "text": f"t{i}", "prompt": "x"} for i in range(4)]
    second = [{"q": f"r{i}", "text": f"t{i}", "prompt": "x"} for i in range(4)]
    columns = ["prompt=q", "demonstration=text"]
    lab.add_task(write_rows(tmp_path / "a.jsonl", first), "lights", columns=columns)
    found = lab.views.preview(write_rows(tmp_path / "b.jsonl", second), "lights")
    assert found["as_in"] == "lights@1"
    again = lab.add_task(tmp_path / "b.jsonl", "lights")
    assert again["mapping"]["columns"]["prompt"] == {"column": "q", "reason": "as in lights@1"}
    other = lab.views.preview(tmp_path / "b.jsonl", "other")
    assert other["as_in"] == ""
    chosen = {"prompt": "q", "demonstration": "text"}
    assert other["offered"] == {"as_in": "lights@2", "columns": chosen}
    assert found["offered"] is None


def test_edits_make_new_versions_that_can_be_compared(lab: Lab, tmp_path: Path) -> None:
    lights(lab, tmp_path)
    edited = lab.edit_task(
        "lights",
        {
            "exclude": [2],
            "change": {1: {"demonstration": "new"}, 3: {"split": "test"}},
            "add": [{"prompt": "p", "demonstration": "a"}],
        },
    )
    assert (edited["version"], edited["rows"]) == (2, {"training": 3, "held_out": 3})
    origin = {"edited_from": 1, "excluded": 1, "changed": 2, "added": 1}
    assert edited["origin"] == origin
    found = lab.views.task_difference("lights@1", "lights@2")
    assert found["counts"] == {"added": 1, "removed": 1, "changed": 1, "moved": 1}
    (changed,) = found["changed"]
    assert changed["after"]["messages"][-1]["content"] == "new"
    assert (found["moved"][0]["from"], found["moved"][0]["to"]) == ("training", "held_out")
    same = lab.edit_task("lights@1", {})
    assert (same["version"], same["is_new"]) == (1, False)
    with pytest.raises(ConfigError, match='unknown setting "drop"'):
        lab.edit_task("lights", {"drop": [1]})
    with pytest.raises(DataError, match="there is no row 99"):
        lab.edit_task("lights", {"exclude": [99]})


def test_edits_and_comparisons_tell_how_far_they_are_and_can_be_ended(
    lab: Lab, tmp_path: Path
) -> None:
    lights(lab, tmp_path)
    heard: list[Progress] = []
    lab.edit_task("lights", {"exclude": [2]}, heard.append)
    assert [(each.stage, each.share) for each in heard] == [
        ("reading", 0.0),
        ("storing", 0.0),
        ("storing", 1.0),
    ]
    heard.clear()
    lab.views.task_changes("lights@1", "lights@2", heard.append)
    assert {each.stage for each in heard} == {"comparing"}
    assert heard[-1].share == 1.0

    def end(progress: Progress) -> None:
        if progress.stage == "storing" and progress.share == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lab.edit_task("lights", {"exclude": [1]}, end)
    assert len(lab.task("lights")["versions"]) == 2


def test_a_task_can_be_written_from_nothing(lab: Lab) -> None:
    written = [{"prompt": f"p{i}", "demonstration": f"a{i}"} for i in range(5)]
    made = lab.write_task("by-hand", written, held_out="2")
    assert made["rows"] == {"training": 3, "held_out": 2}
    assert made["origin"]["file"] == "by-hand.jsonl"
    assert [path.suffix for path in (lab.settings.home / "uploads").iterdir()] == [".jsonl"]
    assert not list(lab.settings.home.glob(".written-*"))
    with pytest.raises(DataError, match="row 1"):
        lab.write_task("by-hand", [{"prompt": "x"}, *written])
    with pytest.raises(DataError, match="there are no rows yet"):
        lab.write_task("by-hand", [])


def test_an_export_read_again_is_the_same_task(lab: Lab, tmp_path: Path) -> None:
    grouped = [{**row, "group": f"g{i % 3}", "tags": ["a", "b"]} for i, row in enumerate(rows(9))]
    first = lab.add_task(write_rows(tmp_path / "x.jsonl", grouped), "lights")
    lab.export_task("lights", tmp_path / "out.jsonl")
    again = lab.add_task(tmp_path / "out.jsonl", "lights")
    assert (again["version"], again["is_new"]) == (1, False)
    assert again["content_hash"] == first["content_hash"]


def test_a_csv_export_runs_no_formula(lab: Lab, tmp_path: Path) -> None:
    content = [{"prompt": "=1+1", "answer": "-2"}, {"prompt": "plain", "answer": "@x"}]
    lab.add_task(write_rows(tmp_path / "x.jsonl", content), "lights")
    exported = lab.export_task("lights", tmp_path / "out.csv")
    assert exported["escaped"] == 3
    with (tmp_path / "out.csv").open(encoding="utf-8-sig", newline="") as file:
        cells = {row["prompt"]: row["demonstration"] for row in csv.DictReader(file)}
    assert cells == {"'=1+1": "'-2", "plain": "'@x"}


def test_faulty_rows_are_written_whether_refused_or_left_out(lab: Lab, tmp_path: Path) -> None:
    content = [*rows(4), {"prompt": "a", "answer": ""}, {"prompt": "\ud83d"}]
    file = write_rows(tmp_path / "x.jsonl", content)
    file.write_text(file.read_text() + "not json\n")
    with pytest.raises(DataError):
        lab.add_task(file, "lights", faulty_to=tmp_path / "refused.jsonl")
    lab.add_task(file, "lights", keep_good=True, faulty_to=tmp_path / "kept.jsonl")
    found = lab.write_faulty_rows(file, tmp_path / "asked.jsonl")
    assert found["rows"] == 3
    lines = (tmp_path / "asked.jsonl").read_text()
    for name in ("refused.jsonl", "kept.jsonl"):
        assert (tmp_path / name).read_text() == lines
    faulty = [json.loads(line) for line in lines.splitlines()]
    assert [row["row"] for row in faulty] == [5, 6, 7]
    assert faulty[0]["content"] == {"prompt": "a", "answer": ""}
    assert [each["field"] for each in faulty[1]["problems"]] == ["prompt", "answer"]
    assert faulty[2]["content"] == "not json"
    with pytest.raises(StateError, match="something at this place"):
        lab.add_task(file, "lights", faulty_to=tmp_path / "kept.jsonl")


class Cancelled(Exception):
    """The user closed the page."""


@pytest.mark.parametrize("stage", ["reading", "storing"])
def test_an_upload_that_breaks_off_leaves_nothing_behind(
    stage: str, lab: Lab, tmp_path: Path
) -> None:
    heard: list[Progress] = []

    def watch(progress: Progress) -> None:
        heard.append(progress)
        if progress.stage == stage and progress.rows >= 2000:
            raise Cancelled

    file = write_rows(tmp_path / "x.jsonl", rows(5000))
    before = {path.name for path in lab.settings.home.iterdir()}
    with pytest.raises(Cancelled):
        lab.add_task(file, "lights", watch=watch)
    assert lab.tasks() == []
    assert not list((lab.settings.home / "uploads").glob("*"))
    assert {path.name for path in lab.settings.home.iterdir()} - before <= {"uploads"}
    assert [each.share for each in heard] == sorted(
        (each.share for each in heard), key=lambda share: share
    ) or stage == "storing"
    assert all(0 <= each.share <= 1 for each in heard)


def test_a_folder_is_kept_as_a_zip_that_reads_the_same(lab: Lab, tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    write_rows(folder / "train.jsonl", rows(4))
    write_rows(folder / "test.jsonl", rows(2, first=50))
    made = lab.add_task(folder, "lights")
    assert made["split"]["by"] == "column"
    assert made["rows"] == {"training": 4, "held_out": 2}
    (kept,) = (lab.settings.home / "uploads").iterdir()
    assert kept.suffix == ".zip"
    assert lab.add_task(kept, "lights")["is_new"] is False
