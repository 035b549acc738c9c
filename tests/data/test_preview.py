"""What is told of a file before it is stored, and the mapping changed column by column."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from backend.data.looking import Looks
from backend.data.looking import look as look_at
from backend.data.mapping import Remembered
from backend.data.preview import preview
from backend.data.report import ReportedDataError
from tests.data.loading import load, pairs, write
from tests.data.toolalpaca_rows import api

TURNS = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
SHAREGPT = [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]


def look(path: Path, remembered: tuple[Remembered, ...] = (), **overrides: str) -> dict[str, Any]:
    return preview(look_at(path, 1), overrides, remembered)


@pytest.mark.parametrize(
    ("row", "shape"),
    [
        ({"prompt": "a", "completion": "b"}, "prompt/completion"),
        ({"prompt": "a", "demonstration": "b"}, "prompt/demonstration"),
        ({"prompt": TURNS[:1], "completion": TURNS[1:]}, "prompt/completion"),
        ({"instruction": "a", "input": "", "output": "b"}, "alpaca"),
        ({"messages": TURNS}, "messages"),
        ({"messages": json.dumps(TURNS)}, "messages"),
        ({"conversations": SHAREGPT}, "sharegpt"),
        ({"prompt": "a", "privileged_context": "b"}, "trl"),
        ({"prompt": "a", "golden_response": "b"}, "trl"),
        ({"frage": "a", "antwort": "b"}, "columns"),
        ({"x": "a", "y": "b"}, "unknown"),
    ],
)
def test_the_shape_of_rows_is_named(row: dict[str, Any], shape: str, tmp_path: Path) -> None:
    found = look(write(tmp_path / "x.jsonl", [row]))
    assert (found["format"], found["shape"]["name"]) == ("jsonl", shape)
    assert found["shape"]["reason"]
    assert (found["incomplete"] is None) == (shape != "unknown")
    if shape != "unknown":
        assert (found["rows"][0]["turns"][-1]["content"], found["rows"][0]["demonstration"]) == (
            "a",
            "b",
        )


def test_toolalpaca_becomes_a_row_a_request(tmp_path: Path) -> None:
    path = write(tmp_path / "x.json", json.dumps([api("One", 3), api("Two", 2)]))
    found = look(path)
    assert found["shape"]["name"] == "toolalpaca"
    assert [row["id"] for row in found["rows"]] == ["One-1", "One-2", "One-3", "Two-1", "Two-2"]
    first = found["rows"][0]
    assert "One does this" in first["turns"][0]["content"]
    assert first["turns"][0]["content"].endswith("Request: do 1 with One")
    assert first["demonstration"] == 'Action: getOne\nAction Input: {"n": 1}'
    assert first["group"] == "One"
    loaded = load(path, held_out=0.2)
    assert {row.group for row in loaded.held_out} == {"Two"}
    assert loaded.split["together"] == "group"


def test_plain_text_becomes_passages_to_continue(tmp_path: Path) -> None:
    text = "# Birds\n\nBirds fly. They have wings.\n\n# Fish\n\nFish swim. They have fins.\n"
    found = look(write(tmp_path / "x.md", text))
    assert (found["format"], found["shape"]["name"]) == ("text", "text")
    assert [row["demonstration"] for row in found["rows"]] == [
        "They have wings.",
        "They have fins.",
    ]
    assert found["rows"][0]["turns"][0]["content"] == (
        'Continue this text about "Birds":\n\nBirds fly.'
    )


def test_each_column_is_told_with_its_reason_and_examples(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "answer": "b", "n": 1}, {"prompt": "c", "answer": "d", "n": None}]
    found = {each["name"]: each for each in look(write(tmp_path / "x.jsonl", rows))["columns"]}
    assert found["prompt"]["targets"] == ["prompt"]
    assert found["prompt"]["reason"] == "a usual name for the prompt"
    assert found["n"] == {
        "name": "n",
        "targets": [],
        "reason": "nothing is taken from it",
        "kinds": {"a number": 1},
        "filled": 0.5,
        "examples": ["1"],
    }


def test_a_mapping_without_a_prompt_is_told_and_can_be_completed(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", [{"x": "a", "y": "b"}])
    found = look(path)
    assert found["incomplete"]["problem"].startswith("no column is known to hold the prompt")
    assert found["rows"][0]["fields"] == {"x": "a", "y": "b"}
    mapped = look(path, prompt="x", demonstration="y")
    assert mapped["incomplete"] is None
    assert mapped["rows"][0]["demonstration"] == "b"


def test_faults_of_the_first_rows_are_shown_with_the_row(tmp_path: Path) -> None:
    content = '{"prompt": "a", "answer": "b"}\n{"prompt": "c"}\nnot json\n'
    found = look(write(tmp_path / "x.jsonl", content))
    assert (found["faulty"], found["looked_at"]) == (2, 3)
    _, missing, broken = found["rows"]
    assert missing["problems"][0]["problem"] == '"answer" is missing'
    assert missing["fields"] == {"prompt": "c"}
    assert (broken["row"], broken["fields"]) == (3, {"": "not json"})


def test_a_mapping_taken_before_is_offered_for_a_file_of_the_same_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", [{"q": "a", "text": "b", "prompt": "c"} for _ in range(3)])
    first = look(path, prompt="q", demonstration="text")
    known = Remembered("lights@1", load_mapping(path, {"prompt": "q", "demonstration": "text"}))
    again = look(path, (known,))
    assert again["as_in"] == "lights@1"
    assert again["mapping"]["columns"]["prompt"] == {"column": "q", "reason": "as in lights@1"}
    assert again["rows"] == first["rows"]


def load_mapping(path: Path, overrides: dict[str, str]) -> Any:
    rows = [{"q": f"a{i}", "text": f"b{i}", "prompt": "c"} for i in range(3)]
    return load(write(path.with_name("y.jsonl"), rows), overrides=overrides).mapping


def test_long_values_are_cut_and_half_characters_do_not_break_the_page(tmp_path: Path) -> None:
    row = {"prompt": "a" * 10_000, "answer": "\ud83d"}
    found = look(write(tmp_path / "x.jsonl", json.dumps(row)))
    json.dumps(found, ensure_ascii=False).encode()
    assert len(found["rows"][0]["fields"]["prompt"]) < 700


def test_only_the_first_rows_are_read(tmp_path: Path) -> None:
    found = look(write(tmp_path / "x.jsonl", pairs(5000)))
    assert (found["looked_at"], len(found["rows"])) == (200, 20)


def test_a_file_that_cannot_be_read_is_refused_as_loading_would(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", b"\xff\xfe\x00")
    with pytest.raises(ReportedDataError) as looked:
        look(path)
    with pytest.raises(ReportedDataError) as loaded:
        load(path)
    assert str(looked.value) == str(loaded.value)
    with pytest.raises(ReportedDataError, match='there is no column "z"'):
        look(write(tmp_path / "y.jsonl", pairs(2)), prompt="z")


def test_a_file_is_read_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, archive = Looks(), tmp_path / "x.zip"
    folder = tmp_path / "folder"
    folder.mkdir()
    inner = write(folder / "x.jsonl", pairs(5))
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(inner, "x.jsonl")
    before = {path: looks(path, 1) for path in (archive, inner, folder)}
    # Nothing can be unpacked any more, nor any file opened.
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    for path, found in before.items():
        assert looks(path, 1) is found
        for column in ("prompt", "answer"):
            assert preview(looks(path, 1), {"reference": column}, ())["looked_at"] == 5
    write(inner, pairs(6))
    assert [len(looks(path, 1).rows) for path in (inner, folder)] == [6, 6]
    with pytest.raises(FileNotFoundError):
        Looks()(archive, 1)


def test_of_long_rows_only_some_are_kept_in_memory(tmp_path: Path) -> None:
    rows = [{"prompt": f"{i} " + "x" * (3 << 20), "answer": "y"} for i in range(9)]
    looks, path = Looks(), write(tmp_path / "x.jsonl", rows)
    first = looks(path, 30)
    assert len(first.rows) == 6
    assert looks(path, 30) is not first
    assert load(path, max_mib=30).report.rows_read == 9
