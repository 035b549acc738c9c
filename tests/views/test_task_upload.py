"""The upload form: every mistake is answered beside its field, and only uploads are read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app import faulty_rows
from app.pages import task_upload
from app.pages.task_columns import chosen_columns
from app.pages.task_held_out import read_held_out, read_seed, read_share
from app.pages.task_source import fetched_place, uploaded
from app.pages.task_upload import Shown, Upload, look
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
    settled = {"hub": "", "name": "lights", "scorer": "exact", "by": "share", "amount": "0.25"}
    settled |= {"names": [], "apart": None, "together": "group", "seed": 0, "keep_good": False}
    return Upload(file, **{**settled, "columns": {}, **values})


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
        ({"scorer": "regex"}, "task-scorer", "or after its colon '{\"pattern\": ...}'"),
        ({"amount": "some"}, "task-held-out", '"some" is no share'),
        ({"amount": "/etc/hostname"}, "task-held-out", "is no share"),
        ({"by": "number", "amount": "/etc/hostname"}, "task-held-out", "is no number of rows"),
        ({"by": "number", "amount": "80"}, "task-held-out", "cannot hold out 80 rows of 8"),
        ({"by": "number", "amount": "0"}, "task-held-out", "cannot hold out 0 rows"),
        ({"by": "file"}, "task-held-out", "no file is chosen"),
        ({"by": "file", "apart": "/etc/passwd"}, "task-held-out", "was not uploaded here"),
        ({"by": "tag"}, "task-held-out", "no tag is named"),
        ({"by": "tag", "names": ["a"]}, "task-held-out", 'no row has the tag "a"'),
        ({"by": "/etc/passwd"}, "task-held-out", "no way is chosen"),
        ({"together": "forged"}, "task-together", "nothing is chosen"),
        ({"seed": "x"}, "task-seed", "the seed is no whole number"),
        ({"columns": {"prompt": "question"}}, "task-preview", 'there is no column "question"'),
        ({"columns": {"promt": "prompt"}}, "task-preview", '"promt" is nothing that a column'),
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
    told, report = add(lab, form(None, name="", amount="", scorer="exact"))
    assert set(told["problems"]) == {"task-file", "task-name", "task-held-out"}
    assert report is None


def test_columns_that_are_not_found_are_named_in_the_forms_own_words(lab: Lab, put: Put) -> None:
    file = put('{"q": "a", "a": "b"}\n{"q": "c", "a": "d"}\n')
    told, report = check(lab, form(file))
    assert told["problems"]["task-preview"].endswith("say which one under Columns")
    assert report is not None
    assert not report["ok"]
    columns = {"prompt": "q", "demonstration": "a"}
    told, report = check(lab, form(file, columns=columns, by="number", amount="1"))
    assert report is not None
    assert report["ok"]


def test_a_file_is_shown_as_it_will_be_read_before_it_has_a_name(lab: Lab, put: Put) -> None:
    file = put('{"q": "a", "a": "b", "kind": "x"}\n{"q": "c", "a": "<b>"}\n')
    told, found = look(lab, form(file, name=""))
    assert told == {"problems": {}}
    assert found is not None
    assert (found["format"], found["encoding"]) == ("jsonl", "UTF-8")
    assert found["incomplete"]["remedy"] == "say which one under Columns"
    columns = {"prompt": "q", "demonstration": "a", "tags": "kind"}
    told, found = look(lab, form(file, name="", columns=columns))
    assert found is not None
    assert (found["incomplete"], found["tags"]) == (None, [("x", 1)])
    assert [row["demonstration"] for row in found["rows"]] == ["b", "<b>"]
    assert lab.tasks() == []
    told, found = look(lab, form(put("\0\1\2", name="y.bin")))
    assert list(told["problems"]) == ["task-file"]
    assert found == {"none": True}
    assert look(lab, form(None)) == ({"problems": {}}, {"none": True})


def test_the_columns_of_a_tasks_last_file_are_offered_for_the_next(lab: Lab, put: Put) -> None:
    columns = {"prompt": "q", "demonstration": "text"}
    file = put('{"q": "a", "text": "b", "prompt": "x"}\n{"q": "c", "text": "d", "prompt": "y"}\n')
    assert "go" in add(lab, form(file, columns=columns, by="number", amount="1"))[0]
    _, found = look(lab, form(file))
    assert found is not None
    assert found["as_in"] == "lights@1"
    assert found["mapping"]["columns"]["prompt"] == {"column": "q", "reason": "as in lights@1"}
    _, found = look(lab, form(file, columns={"reference": "prompt"}))
    assert found is not None
    assert found["mapping"]["columns"]["prompt"]["reason"] == "as in lights@1"
    _, found = look(lab, form(file, name="signs"))
    assert found is not None
    assert found["offered"] == {"as_in": "lights@1", "columns": columns}


def test_columns_are_chosen_one_after_the_other() -> None:
    one = chosen_columns({}, {"role": "prompt", "column": "q"})
    two = chosen_columns(one, {"role": "tags", "column": ""})
    assert two == {"prompt": "q", "tags": "-"}
    # Turns hold prompt and answer themselves: a choice of one is no mistake beside the other.
    turns = chosen_columns(two, {"role": "messages", "column": "chat"})
    assert turns == {"tags": "-", "messages": "chat"}
    assert chosen_columns(turns, {"role": "input", "column": "x"}) == {"tags": "-", "input": "x"}
    assert chosen_columns(two, {"columns": {}}) == {}
    assert chosen_columns(two, {"columns": {"prompt": "x", "id": 7}}) == {"prompt": "x"}
    for forged in (None, "x", {"role": ""}, {"columns": "x"}):
        assert set(chosen_columns({}, forged)) == set()


def test_rows_are_held_out_in_every_way(lab: Lab, put: Put) -> None:
    lines = [
        {"prompt": f"p{i}", "answer": f"a{i}", "tags": ["x, y"], "group": "g1"} for i in (1, 2)
    ]
    lines += [
        {"prompt": f"p{i}", "answer": f"a{i}", "tags": ["z"], "group": "g2"} for i in range(3, 9)
    ]
    file = put("".join(json.dumps(line) + "\n" for line in lines))
    apart = put('{"prompt": "other", "answer": "b"}\n', name="apart.jsonl")
    for values, sides in (
        ({"by": "auto"}, (6, 2)),
        ({"by": "share", "amount": "50 %", "together": "prompt"}, (4, 4)),
        ({"by": "number", "amount": "3", "together": "prompt", "seed": 5}, (5, 3)),
        ({"by": "tag", "names": ["x, y"]}, (6, 2)),
        ({"by": "group", "names": ["g1"]}, (6, 2)),
        ({"by": "file", "apart": apart}, (8, 1)),
    ):
        _, report = check(lab, form(file, **values))
        assert report is not None
        assert tuple(report["rows"].values()) == sides, values
        assert report["split"]["seed"] == values.get("seed", 0)
    assert "go" in add(lab, form(file, by="file", apart=apart))[0]
    assert lab.task("lights")["versions"][0]["split"]["value"] == "apart.jsonl"


def test_faulty_rows_wait_under_an_id(lab: Lab, put: Put) -> None:
    home = lab.settings.home
    file = put('{"prompt": "a"}\n{"prompt": "b", "answer": "c"}\n{"prompt": "d", "answer": "e"}\n')
    _, report = check(lab, form(file))
    assert report is not None
    assert report["faulty"]["rows"] == 1
    place = faulty_rows.find(home, report["faulty"]["id"])
    assert place is not None
    assert json.loads(place.read_text("utf-8"))["content"] == {"prompt": "a"}
    for forged in ("", "..", "a" * 32, f"../faulty/{report['faulty']['id']}", "A" * 32):
        assert faulty_rows.find(home, forged) is None
    _, report = check(lab, form(file, keep_good=True, amount="0.5"))
    assert report is not None
    assert (report["left_out"], report["faulty"]["rows"]) == (1, 1)
    os.utime(place, (0, 0))
    _, report = check(lab, form(put()))
    assert report is not None
    assert report["faulty"]["rows"] == 0
    assert not place.exists()
    assert len(list(place.parent.iterdir())) == 1


def test_a_dataset_of_the_hub_is_read_from_where_it_was_fetched(lab: Lab, put: Put) -> None:
    assert put()
    for name in ("me/lights", "hub:me/lights", "https://huggingface.co/datasets/me/lights"):
        told, _ = add(lab, form(None, hub=name))
        assert told["problems"] == {"task-hub": 'it is not fetched yet; click "Fetch" first'}
    for forged in ("../../etc", "/etc/passwd", "me", "http://127.0.0.1/x"):
        told, _ = add(lab, form(None, hub=forged))
        assert "this is no dataset's name" in told["problems"]["task-hub"]
        told, _ = task_upload.fetch(lab, form(None, hub=forged), unwatched)
        assert "this is no dataset's name" in told["problems"]["task-hub"]
    told, _ = task_upload.fetch(lab, form(put(), hub="me/lights"), unwatched)
    assert "a file is chosen already" in told["problems"]["task-hub"]
    assert not fetched_place(lab).exists()


def test_a_broken_file_is_answered_with_its_whole_report(lab: Lab, put: Put) -> None:
    file = put(
        '{"prompt": "a"}\n{"prompt": "b", "answer": "c"}\n{"prompt": "d", "answer": "e"}\n{"x"'
    )
    told, report = add(lab, form(file))
    assert told["problems"]["task-file"].startswith("x.jsonl, row 1: ")
    assert report is not None
    assert (report["ok"], report["file"]) == (False, "x.jsonl")
    assert [problem["row"] for problem in report["report"]["problems"]] == [1, 4]
    told, _ = add(lab, form(file, keep_good=True, by="number", amount="1"))
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
    [("0.2", 0.2), (".5", 0.5), ("0,25", 0.25), ("20 %", 0.2), ("12.5%", 0.125), (" 0.4 ", 0.4)],
)
def test_a_share_may_be_written_in_several_ways(text: str, value: float) -> None:
    assert read_share(text) == value


def test_only_whole_numbers_are_seeds() -> None:
    assert [read_seed(given) for given in (0, 7.0, -3)] == [0, 7, -3]
    for wrong in (None, 0.5, float("nan"), float("inf"), True, 1e300, "1"):
        with pytest.raises(DataError, match="the seed is no whole number"):
            read_seed(wrong)
    with pytest.raises(DataError, match="no way is chosen"):
        read_held_out(None, "0.2", [], None)
