"""The upload form: every mistake is answered beside its field, and only uploads are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.pages import task_upload
from app.pages.task_upload import Shown, Upload, read_held_out, uploaded
from backend.errors import DataError
from backend.lab import Lab
from tests.lab.tiny_tasks import rows, write_rows

Put = Callable[..., str]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Puts a file where Gradio keeps uploads; returns its path as the form gives it."""
    folder = tmp_path / "uploads"
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))

    def write(text: str | None = None, name: str = "x.jsonl") -> str:
        path = folder / "0123abc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            write_rows(path, rows(8))
        else:
            path.write_text(text, "utf-8")
        return str(path)

    return write


def unwatched(_what: str, _done: int, _total: int | None) -> None:
    pass


def check(lab: Lab, upload: Upload) -> Shown:
    return task_upload.check(lab, upload, unwatched)


def add(lab: Lab, upload: Upload) -> Shown:
    return task_upload.add(lab, upload, unwatched)


def form(file: Any, **values: Any) -> Upload:
    settled = {"name": "lights", "columns": "", "scorer": "exact", "held_out": "0.25"}
    return Upload(file, **{**settled, "keep_good": False, **values})


def test_a_checked_file_is_shown_and_then_added(lab: Lab, put: Put) -> None:
    told, report = check(lab, form(put()))
    assert told == {"problems": {}}
    assert report is not None
    assert (report["ok"], report["rows"]) == (True, {"training": 6, "held_out": 2})
    assert lab.tasks() == []
    told, report = add(lab, form(put()))
    assert told["go"] == "tasks?task=lights&version=1&added=new"
    assert report is None
    assert [task["name"] for task in lab.tasks()] == ["lights"]
    assert add(lab, form(put()))[0]["go"] == "tasks?task=lights&version=1&added=known"


@pytest.mark.parametrize(
    ("values", "field", "found"),
    [
        ({"name": "a b"}, "task-name", '"a b" cannot be a task\'s name'),
        ({"name": "../../x"}, "task-name", "cannot be a task's name"),
        ({"name": None}, "task-name", "cannot be a task's name"),
        ({"scorer": "forged"}, "task-scorer", 'no scorer "forged"; choose one of exact'),
        ({"held_out": "some"}, "task-held-out", '"some" is neither a share nor a number'),
        ({"held_out": "/etc/hostname"}, "task-held-out", "is neither a share nor a number"),
        ({"held_out": "80"}, "task-held-out", "cannot hold out 80 rows of 8"),
        ({"held_out": "0"}, "task-held-out", "cannot hold out 0 rows"),
        ({"columns": "question"}, "task-columns", '"question" is no mapping; write it as prompt='),
        ({"columns": "prompt=question"}, "task-columns", 'there is no column "question"'),
        ({"columns": "promt=prompt"}, "task-columns", '"promt" is nothing that a column'),
    ],
)
def test_a_mistake_is_answered_beside_its_field(
    lab: Lab, put: Put, values: dict[str, Any], field: str, found: str
) -> None:
    for act in (check, add):
        told, _ = act(lab, form(put(), **values))
        assert list(told["problems"]) == [field]
        assert found in told["problems"][field]
        assert told["focus"]
    assert lab.tasks() == []


def test_mistakes_in_several_fields_are_answered_together(lab: Lab) -> None:
    told, report = add(lab, form(None, name="", held_out="", scorer="exact"))
    assert set(told["problems"]) == {"task-file", "task-name", "task-held-out"}
    assert report is None


def test_columns_that_are_not_found_are_named_in_the_forms_own_words(lab: Lab, put: Put) -> None:
    file = put('{"q": "a", "a": "b"}\n{"q": "c", "a": "d"}\n')
    told, report = check(lab, form(file))
    assert "say which one under Columns, as in prompt=COLUMN" in told["problems"]["task-columns"]
    assert report is not None
    assert not report["ok"]
    told, report = check(lab, form(file, columns="prompt=q, demonstration=a", held_out="1"))
    assert report is not None
    assert report["ok"]


def test_a_broken_file_is_answered_with_its_whole_report(lab: Lab, put: Put) -> None:
    file = put(
        '{"prompt": "a"}\n{"prompt": "b", "answer": "c"}\n{"prompt": "d", "answer": "e"}\n{"x"'
    )
    told, report = add(lab, form(file))
    assert told["problems"]["task-file"].startswith("x.jsonl, row 1: ")
    assert report is not None
    assert (report["ok"], report["file"]) == (False, "x.jsonl")
    assert [problem["row"] for problem in report["report"]["problems"]] == [1, 4]
    told, _ = add(lab, form(file, keep_good=True, held_out="1"))
    assert "go" in told


def test_keeping_the_good_rows_takes_a_ticked_box(lab: Lab, put: Put) -> None:
    file = put('{"prompt": "a"}\n{"prompt": "b", "answer": "c"}\n{"prompt": "d", "answer": "e"}\n')
    for forged in ("false", 1, None, "on"):
        assert "problems" in add(lab, form(file, keep_good=forged))[0]
    assert lab.tasks() == []


def test_only_files_that_were_uploaded_are_read(lab: Lab, put: Put, tmp_path: Path) -> None:
    secret = write_rows(tmp_path / "secret.jsonl", rows(8))
    link = Path(put()).with_name("link.jsonl")
    link.symlink_to(secret)
    folder = str(Path(put()).parent)
    beside = f"{folder}/../../secret.jsonl"
    for forged in (str(secret), str(link), beside, folder, "/etc/passwd", "a\0b", 7, "http://x/y"):
        with pytest.raises(DataError, match="was not uploaded here"):
            uploaded(forged)
        told, report = add(lab, form(forged))
        assert list(told["problems"]) == ["task-file"]
        assert report is None
    assert lab.tasks() == []


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.2", 0.2), (".5", 0.5), ("0,25", 0.25), ("20 %", 0.2), ("12.5%", 0.125), (" 40 ", 40)],
)
def test_a_share_may_be_written_in_several_ways(text: str, value: float) -> None:
    assert read_held_out(text) == value
