"""Files that hold no task, and models that cannot be used: told in words, and nothing stored."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from backend.bootstrap import build_lab
from backend.errors import DataError
from backend.lab import Lab
from backend.settings import Settings
from tests.cli import contract
from tests.cli.command import Outcome
from tests.data.gallery import GALLERY

Call = Callable[..., Outcome]
TABLES = ("tasks", "task_versions", "task_rows", "artifacts", "runs")


@pytest.fixture
def stored(home: Path, with_task: str) -> Callable[[], object]:
    """All that the lab holds: its rows, and its files but for the database."""
    assert with_task

    def look() -> object:
        with closing(sqlite3.connect(home / "lab.sqlite")) as database:
            (verdict,) = database.execute("PRAGMA integrity_check").fetchone()
            assert verdict == "ok"
            rows = {name: database.execute(f"SELECT * FROM {name}").fetchall() for name in TABLES}
        files = {
            path.relative_to(home): path.read_bytes()
            for path in home.rglob("*")
            if path.is_file() and not path.name.startswith("lab.sqlite")
        }
        return rows, files

    return look


@pytest.fixture
def lab(home: Path, stored: Callable[[], object]) -> Iterator[Lab]:
    """The same lab as the commands', as pages have it."""
    opened = build_lab(Settings(home=home))
    yield opened
    opened.close()


def test_a_broken_file_is_refused_and_nothing_is_stored(
    call: Call, stored: Callable[[], object], lab: Lab, tmp_path: Path
) -> None:
    """Broken, empty, binary, wrongly encoded, duplicates only, unknown columns, no answer.

    Command line, its JSON, and what the page is given say the same.
    """
    before = stored()
    for case, name, content, message in GALLERY:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        refused = call("task", "add", path, "--name", "broken", "--json")
        assert refused.code == 2, case
        contract.check(contract.Refused, refused.document)
        contract.check(contract.Report, refused.document["report"])
        assert not refused.document["report"]["ok"]
        assert refused.err == f"sdlab: {message}\n"
        assert refused.document["error"]["code"] == "bad_data"
        assert stored() == before, case
        with pytest.raises(DataError) as checked:
            lab.views.check_upload(path, "broken")
        assert {"error": checked.value.as_document(), **checked.value.details} == refused.document


def test_all_faulty_rows_are_listed_with_row_and_field(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a", "answer": "b"}\n{"prompt": "c"}\n{"answer": "d"}\n{"prompt"\n')
    as_json = call("task", "add", path, "--name", "broken", "--json")
    problems = as_json.document["report"]["problems"]
    assert [problem["row"] for problem in problems] == [2, 3, 4]
    plain = call("task", "add", path, "--name", "broken")
    first, *others = plain.err.splitlines()
    assert "(and 2 more problems)" in first
    assert [line.split(":")[0].strip() for line in others] == ["row 3", "row 4"]


def test_a_huge_file_is_refused_before_it_is_read(
    call: Call,
    stored: Callable[[], object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SDLAB_MAX_UPLOAD_MIB", "1")
    path, before = tmp_path / "huge.jsonl", stored()
    path.write_text('{"prompt": "a", "answer": "b"}\n' * 40_000)
    refused = call("task", "add", path, "--name", "huge", "--json")
    assert refused.code == 2
    assert "the limit is 1 MiB; split the file, or raise SDLAB_MAX_UPLOAD_MIB" in refused.err
    assert stored() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--name", "a/b"], '"a/b" cannot be a task\'s name'),
        (["--scorer", "f1"], 'there is no scorer "f1"'),
        (["--map", "prompt=none"], '"none"'),
        (["--map", "prompt"], '"prompt" is no mapping'),
        (["--map", "answers=answer"], '"answers"'),
        (["--held-out", "10"], "10"),
        (["--held-out", "1.5"], "1.5"),
        (["--held-out", "-3"], "-3"),
        (["--held-out", "none.jsonl"], "none.jsonl: there is no such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_bad_option_is_refused_and_nothing_is_stored(
    options: list[str],
    message: str,
    call: Call,
    stored: Callable[[], object],
    tmp_path: Path,
) -> None:
    path, before = tmp_path / "others.jsonl", stored()
    rows = [{"prompt": f"other {i}", "answer": f"yes {i}"} for i in range(10)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    named = [] if "--name" in options else ["--name", "others"]
    refused = call("task", "add", path, *named, *options, "--json")
    assert refused.code == 2
    assert message in refused.err
    contract.check(contract.Refused, refused.document)
    assert stored() == before


def test_an_unknown_model_is_refused_and_nothing_is_queued(
    call: Call, with_task: str, stored: Callable[[], object], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    before = stored()
    for model, found in (
        ("gpt", "is no model that the lab can find"),
        ("bundled:gpt", "there is no bundled model"),
        (tmp_path / "empty", "has no config.json"),
    ):
        refused = call("train", "--task", with_task, "--method", "sft", "--model", model, "--json")
        assert refused.code == 2
        assert refused.document["error"]["code"] == "bad_model"
        assert found in refused.err
        assert stored() == before


def test_a_7b_model_is_refused_before_anything_is_queued(call: Call, with_task: str) -> None:
    """Offline, from its name alone: too large for this machine, or days even on a large one."""
    refused = call("train", "--task", with_task, "--method", "sdft", "--model",
                   "Qwen/Qwen2.5-7B-Instruct", "--steps", 1_000_000, "--json")  # fmt: skip
    assert refused.code == 2
    contract.check(contract.Refused, refused.document)
    assert "GiB of memory" in refused.err or "would take" in refused.err
    assert call("runs", "--json").done() == []


@pytest.mark.parametrize(
    "command",
    [
        ["backup", "{place}"],
        ["task", "export", "lights", "--to", "{place}"],
        ["task", "add", "{rows}", "--name", "other", "--faulty-to", "{place}"],
    ],
    ids=["backup", "task export", "task add"],
)
def test_a_place_that_cannot_be_written_is_the_users_to_put_right(
    command: list[str], call: Call, stored: Callable[[], object], rows_file: Path
) -> None:
    """Below a file no folder can be made, whoever asks."""
    place, before = rows_file / "folder" / "out.jsonl", stored()
    words = [word.format(place=place, rows=rows_file) for word in command]
    refused = call(*words, "--json")
    assert refused.code == 2
    contract.check(contract.Refused, refused.document)
    assert refused.document["error"]["where"] == str(place)
    assert "the file cannot be written (" in refused.err
    assert stored() == before
