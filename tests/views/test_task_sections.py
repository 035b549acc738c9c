"""A stored version as its page reads it: rows by text and order, sizes, changes, lengths, files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.errors import ConfigError, NotFound
from backend.lab import Lab
from backend.text.prompt_difference import word_difference
from backend.views import task_lengths
from tests.lab.tiny_tasks import rows, write_rows
from tests.views.conftest import READS

TALK = [
    {"role": "user", "content": "Is it dark?"},
    {"role": "assistant", "content": "Yes."},
    {"role": "user", "content": "Then do something."},
    {"role": "assistant", "content": "light.on()"},
]


@pytest.fixture
def task(lab: Lab, tmp_path: Path) -> str:
    content = [
        *rows(4),
        {"prompt": "a longer question, in the CAFÉ", "answer": "no", "tags": ["b", "c"]},
        {"prompt": "short", "answer": "an answer that is longer than others", "tags": ["a"]},
    ]
    apart = write_rows(tmp_path / "apart.jsonl", [{"prompt": "apart", "answer": "light.on(9)"}])
    file = write_rows(tmp_path / "x.jsonl", content)
    lab.add_task(file, "lights", held_out=str(apart))
    return "lights"


def places(lab: Lab, **wanted: Any) -> list[int]:
    return [row["place"] for row in lab.views.task_rows("lights", **wanted)["rows"]]


@pytest.mark.usefixtures("task")
def test_rows_come_in_the_order_asked_for(lab: Lab) -> None:
    assert places(lab, sort="longest-prompt")[:2] == [5, 1]
    assert places(lab, sort="shortest-prompt")[:2] == [6, 7]
    assert places(lab, sort="longest-demonstration")[0] == 6
    assert places(lab, sort="shortest-demonstration")[0] == 5
    assert places(lab, sort="tag") == [6, 5, 1, 2, 3, 4, 7]
    with pytest.raises(ConfigError, match='cannot be ordered by "size"; choose one of row,'):
        lab.views.task_rows("lights", sort="size")


@pytest.mark.usefixtures("task")
def test_rows_are_found_by_any_of_their_texts(lab: Lab) -> None:
    assert places(lab, find=" café ") == [5]
    assert places(lab, find="LIGHT.ON") == [1, 2, 3, 4, 7]
    assert places(lab, find="light.on", part="held_out") == [7]
    assert places(lab, find="row-3") == [3]
    found = lab.views.task_rows("lights", find="nowhere")
    assert (found["rows"], found["count"], found["of"], found["total"]) == ([], 0, 7, 7)


@pytest.mark.usefixtures("task")
def test_versions_tell_their_size_and_origin(lab: Lab) -> None:
    (before,) = lab.views.tasks()
    lab.edit_task("lights", {"exclude": [1]})
    (listed,) = lab.views.tasks()
    assert (listed["version"], listed["versions"]) == (2, 2)
    assert 0 < listed["bytes"] < before["bytes"]
    opened = lab.views.task("lights", "1")
    assert [version["bytes"] for version in opened["versions"]] == [
        before["bytes"],
        listed["bytes"],
    ]
    assert opened["versions"][1]["origin"]["edited_from"] == 1


@pytest.mark.usefixtures("task")
def test_changes_mark_the_words_that_differ(lab: Lab) -> None:
    change = {2: {"demonstration": "light.off(2)", "tags": ["x"]}}
    new = {"prompt": "new", "demonstration": "row"}
    lab.edit_task("lights", {"change": change, "exclude": [1], "add": [new]})
    found = lab.views.task_changes("lights@1", "lights@2")
    assert found["counts"] == {"added": 1, "removed": 1, "changed": 1, "moved": 0}
    (changed,) = found["changed"]
    fields = {each["field"]: each for each in changed["fields"]}
    assert fields["demonstration"]["before"] == [["light.", False], ["on", True], ["(2)", False]]
    assert fields["demonstration"]["after"] == [["light.", False], ["off", True], ["(2)", False]]
    assert (fields["tags"]["before"], fields["tags"]["after"]) == ([], [["x", True]])
    with pytest.raises(NotFound):
        lab.views.task_changes("lights@1", "lights@3")


def test_a_word_is_marked_as_a_whole() -> None:
    ours, theirs = word_difference("turn it on", "turn it off, please")
    assert ours == [("turn it ", False), ("on", True)]
    assert theirs == [("turn it ", False), ("off, please", True)]
    assert word_difference("", "a b") == ([], [("a b", True)])


def test_turns_of_a_conversation_are_changed_like_a_prompt(lab: Lab, tmp_path: Path) -> None:
    other = [{**turn, "content": "b"} for turn in TALK]
    file = write_rows(tmp_path / "x.jsonl", [{"messages": TALK}, {"messages": other}])
    lab.add_task(file, "talk", held_out="1")
    (place,) = [p for p in (1, 2) if lab.views.task_row("talk", "", p)["messages"][0] == TALK[0]]
    made = lab.edit_task("talk", {"change": {place: {"prompt": "Do it.", "demonstration": "d"}}})
    assert made["is_new"]
    row = lab.views.task_row("talk", "2", place)
    assert [turn["content"] for turn in row["messages"]] == ["Is it dark?", "Yes.", "Do it."]
    assert row["demonstration"] == "d"


@pytest.mark.usefixtures("task")
def test_lengths_tell_which_rows_are_too_long(
    lab: Lab, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(new_tokens: int, context: str = "earlier-turn") -> dict[str, Any]:
        return lab.views.task_lengths(
            "lights", "", model=model, context=context, new_tokens=new_tokens
        )

    found = read(1)
    assert (found["rows"], found["sampled"], found["limit"]) == (7, 7, READS)
    prompts = lab.views.prompts("lights", "", 5, model=model, context="earlier-turn")
    for role in ("student", "teacher", "demonstration"):
        assert prompts[role]["tokens"] in found["lengths"][role]
    (own,) = [each for each in found["skipped"] if each["is_model"]]
    needed = [
        max(student, teacher) + max(demonstration, 1)
        for student, teacher, demonstration in zip(
            *(found["lengths"][role] for role in ("student", "teacher", "demonstration")),
            strict=True,
        )
    ]
    assert own == {"limit": READS, "rows": sum(n > READS for n in needed), "is_model": True}
    assert found["skipped"][-1]["rows"] == 0
    everything = next(each for each in read(READS)["skipped"] if each["is_model"])
    assert everything["rows"] == 7
    monkeypatch.setattr(task_lengths, "MOST_CHARACTERS", 1)
    assert read(1, "system")["sampled"] == 1


@pytest.mark.usefixtures("task")
def test_without_the_models_files_no_lengths_are_told(lab: Lab) -> None:
    name = "bundled:smollm2-135m-instruct"
    found = lab.views.task_lengths("lights", "", model=name, context="system", new_tokens=1)
    assert "is not on this disk yet" in found["unread"]


@pytest.mark.usefixtures("task")
def test_a_download_holds_what_an_export_writes(lab: Lab, tmp_path: Path) -> None:
    version = lab.views.task("lights")
    file = lab.views.task_file(version["id"])
    lab.export_task("lights", tmp_path / "out.jsonl")
    assert file.name == "lights@1.jsonl"
    assert "".join(file.lines) == (tmp_path / "out.jsonl").read_text("utf-8")
    assert len(list(map(json.loads, lab.views.task_file(version["id"]).lines))) == 7
    for forged in ("", "../lab.sqlite", "0" * 12):
        with pytest.raises(NotFound):
            lab.views.task_file(forged)


@pytest.mark.usefixtures("task")
def test_a_search_for_near_duplicates_is_told_with_the_places_of_its_rows(lab: Lab) -> None:
    assert lab.views.task_leaks("lights")["search"] is None
    near = {"prompt": "A longer question in the café!", "demonstration": "x", "split": "test"}
    lab.edit_task("lights", {"add": [near]})
    run = lab.start_leak_search("lights")
    assert lab.views.task_leaks("lights", "2")["search"]["is_open"]
    lab.wait([run])
    search = lab.views.task_leaks("lights")["search"]
    assert (search["id"], search["state"]) == (run, "done")
    assert search["found"]["pairs"][0]["places"] == {"training": 5, "held_out": 8}
    assert lab.views.task_leaks("lights", "1")["search"] is None
