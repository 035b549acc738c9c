"""The bundled material is what its script writes, and keeps the promises that runs rely on."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from backend.bundled import TASKS, material_path
from backend.bundled import make as script
from backend.config import DEFAULT_MODEL
from backend.models.sources import find_source
from backend.text.tokenizer import TextTokenizer

Record = dict[str, Any]
KINDS = {
    "contains": "any",
    "contains_all": "all",
    "excludes": "none",
    "starts_with": "text",
    "ends_with": "text",
    "max_words": "n",
    "min_lines": "n",
    "uppercase": None,
    "lowercase": None,
    "regex": "pattern",
    "all_of": "checks",
}


def read(name: str) -> list[Record]:
    text = material_path(name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.lower()))


def similarity(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other)


def test_files_on_disk_are_what_the_script_writes() -> None:
    assert script.differing_files(material_path("")) == []
    assert script.main(["--check"]) == 0


def test_folders_hold_only_what_the_script_writes() -> None:
    root = material_path("")
    found = {path.relative_to(root).as_posix() for path in root.rglob("*.jsonl")}
    assert found == set(script.material())


def test_check_fails_until_the_files_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main(["--check"], folder=tmp_path) == 1
    assert "probes/facts.jsonl: missing or different" in capsys.readouterr().out
    assert script.main([], folder=tmp_path) == 0
    assert script.main(["--check"], folder=tmp_path) == 0


def test_check_fails_when_a_file_was_edited(tmp_path: Path) -> None:
    script.main([], folder=tmp_path)
    edited = tmp_path / "probes/everyday.jsonl"
    edited.write_text(edited.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert script.differing_files(tmp_path) == ["probes/everyday.jsonl"]
    assert script.main(["--check"], folder=tmp_path) == 1


@pytest.mark.parametrize("task", TASKS)
def test_task_has_its_rows_with_unique_ids_and_prompts(task: str) -> None:
    training, held_out = read(f"tasks/{task}.training.jsonl"), read(f"tasks/{task}.held_out.jsonl")
    assert (len(training), len(held_out)) == (400, 96)
    rows = training + held_out
    assert len({row["id"] for row in rows}) == len(rows)
    assert len({row["prompt"].lower() for row in rows}) == len(rows)
    assert all(set(row) == {"id", "prompt", "demonstration", "reference", "tags"} for row in rows)


@pytest.mark.parametrize("task", TASKS)
def test_prompts_and_answers_are_short_in_the_bundled_models_tokens(
    task: str, bundled_models: Path
) -> None:
    source = find_source(DEFAULT_MODEL, bundled_models.parent)
    tokenizer = TextTokenizer(Path(source.location))
    for row in read(f"tasks/{task}.training.jsonl") + read(f"tasks/{task}.held_out.jsonl"):
        assert len(tokenizer.encode(row["prompt"])) < 60, row["id"]
        assert len(tokenizer.encode(row["demonstration"])) < 25, row["id"]


@pytest.mark.parametrize("task", TASKS)
def test_held_out_prompts_are_no_near_copies_of_training_prompts(task: str) -> None:
    training = [words(row["prompt"]) for row in read(f"tasks/{task}.training.jsonl")]
    for row in read(f"tasks/{task}.held_out.jsonl"):
        nearest = max(similarity(words(row["prompt"]), other) for other in training)
        assert nearest < 0.6, row["prompt"]


@pytest.mark.parametrize("task", TASKS)
def test_every_tag_occurs_in_training_and_on_held_out_rows(task: str) -> None:
    training = Counter(tag for row in read(f"tasks/{task}.training.jsonl") for tag in row["tags"])
    held_out = Counter(tag for row in read(f"tasks/{task}.held_out.jsonl") for tag in row["tags"])
    assert set(training) == set(held_out)
    assert min(training.values()) >= 30
    assert min(held_out.values()) >= 8


@pytest.mark.parametrize("task", ["home-commands", "tickets"])
def test_exact_tasks_have_the_demonstration_as_reference(task: str) -> None:
    for row in read(f"tasks/{task}.training.jsonl") + read(f"tasks/{task}.held_out.jsonl"):
        assert row["reference"] == row["demonstration"]


def test_arguments_of_home_commands_are_words_of_the_prompt() -> None:
    rows = read("tasks/home-commands.training.jsonl") + read("tasks/home-commands.held_out.jsonl")
    for row in rows:
        assert re.fullmatch(r"\w+\.\w+\((\w+=(\"[\w ]+\"|\d+)(, )?)+\)", row["demonstration"])
        values = re.findall(r"=\"?([\w ]+)", row["demonstration"])
        assert all(value.lower() in row["prompt"].lower() for value in values), row["id"]


def test_labels_of_tickets_are_words_of_the_prompt() -> None:
    rows = read("tasks/tickets.training.jsonl") + read("tasks/tickets.held_out.jsonl")
    for row in rows:
        pattern = r"team=(\w+); order=(\d{4}|none); product=([\w ]+)"
        label = re.fullmatch(pattern, row["demonstration"])
        assert label is not None
        assert row["tags"] == [label[1]]
        assert label[2] == (re.findall(r"\d+", row["prompt"]) or ["none"])[0]
        assert label[3] == "none" or label[3] in row["prompt"].lower()


def test_house_style_demonstrations_hold_their_required_parts_on_two_lines() -> None:
    rows = read("tasks/house-style.training.jsonl") + read("tasks/house-style.held_out.jsonl")
    for row in rows:
        demonstration = row["demonstration"].lower()
        assert all(part in demonstration for part in row["reference"]), row["id"]
        first, second = row["demonstration"].split("\n")
        assert first.startswith("Thank you, ")
        assert second == "Kind regards, Maple Desk"
        assert row["reference"][-1] in row["prompt"].lower()


def test_house_style_subjects_are_not_hidden_in_the_fixed_words() -> None:
    for row in read("tasks/house-style.training.jsonl") + read("tasks/house-style.held_out.jsonl"):
        *fixed, subject = row["reference"]
        assert not any(subject in part for part in fixed), row["id"]


def test_facts_are_distinct_choices_with_balanced_answers() -> None:
    rows = read("probes/facts.jsonl")
    assert len(rows) >= 220
    assert len({row["id"] for row in rows}) == len(rows)
    assert len({row["question"] for row in rows}) == len(rows)
    for row in rows:
        assert len({choice.lower() for choice in row["choices"]}) == 4, row["id"]
        assert row["answer"] in range(4)
        assert max(len(choice.split()) for choice in row["choices"]) <= 12, row["id"]
    counts = Counter(row["answer"] for row in rows)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_first_facts_cover_most_topics() -> None:
    rows = read("probes/facts.jsonl")
    topics = {row["topic"] for row in rows}
    assert len({row["topic"] for row in rows[:64]}) >= len(topics) - 2


def test_instructions_use_the_known_checks() -> None:
    rows = read("probes/instructions.jsonl")
    assert len(rows) >= 30
    assert len({row["id"] for row in rows}) == len({row["prompt"] for row in rows}) == len(rows)
    for row in rows:
        assert_known(row["check"])


def assert_known(check: Record) -> None:
    argument = KINDS[check["kind"]]
    assert set(check) == {"kind"} | ({argument} if argument else set())
    if check["kind"] == "regex":
        re.compile(check["pattern"])
    for inner in check.get("checks", []):
        assert_known(inner)


def test_everyday_prompts_are_thirty_and_distinct() -> None:
    rows = read("probes/everyday.jsonl")
    assert len(rows) == 30
    assert len({row["id"] for row in rows}) == len({row["prompt"] for row in rows}) == 30
