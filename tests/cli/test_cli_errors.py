"""Exit codes, and what is said on which stream, when something is wrong."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from backend.bootstrap import build_lab
from backend.jobs.launchers import LAUNCHERS
from backend.settings import Settings
from tests.cli import contract
from tests.cli.command import Command, Outcome

Call = Callable[..., Outcome]

MISTAKES: list[tuple[str, list[str], str]] = [
    ("no such command", ["trian"], "No such command 'trian'"),
    ("no such option", ["runs", "--al"], "No such option"),
    ("no value", ["task", "add", "x.jsonl"], "Missing option '--name'"),
    ("no number", ["train", "--steps", "many"], "'many' is not a valid integer"),
    ("nothing to train", ["train"], "neither a configuration file nor both"),
    ("no such file", ["train", "none.yaml"], "none.yaml: there is no such file"),
    ("no such task", ["task", "show", "none"], 'there is no task "none"'),
    ("no mapping", ["task", "add", "x.csv", "--name", "x", "--map", "prompt"], "is no mapping"),
    ("no such run", ["show", "none"], 'there is no run "none"'),
    ("nothing to stop", ["stop", "none"], 'there is no run "none"'),
    ("nothing to resume", ["resume", "none", "--wait"], 'there is no run "none"'),
    ("nothing to replay", ["replay", "none", "--step", "1"], 'there is no run "none"'),
    ("no sequence", ["sequence", "none.yaml"], "none.yaml: there is no such file"),
    ("nothing to export", ["export", "none", "--to", "x"], 'there is no run "none"'),
    ("nothing to compare", ["compare", "none", "other"], 'there is no run "none"'),
    ("no form of export", ["export", "none", "--to", "x", "--format", "onnx"], "no export as"),
    ("no model", ["evaluate", "no model", "--probe", "prior"], "is no model that the lab can find"),
    ("no bundled model", ["premise", "lights", "--model", "bundled:gpt"], "no bundled model"),
    ("no probe", ["evaluate", "a/b", "--probe", "priors"], 'there is no probe "priors"'),
    ("no task for the probe", ["evaluate", "a/b", "--probe", "task"],
     "the probe task needs a run that has one"),
    ("no method", ["train", "--task", "lights", "--method", "sdtf"], 'did you mean "sdft"?'),
    ("no context", ["train", "--task", "lights", "--method", "sdft", "--set", "context=early"],
     'there is no context "early"'),
    ("no context to check", ["premise", "lights", "--context", "early"],
     'there is no context "early"'),
    ("no setting", ["train", "--task", "lights", "--method", "sft", "--set", "stepz=3"],
     'unknown setting "stepz"; did you mean "steps"?'),
    ("no such setting of a part",
     ["train", "--task", "lights", "--method", "sft", "--set", "optimizer.learning_rat=1"],
     'did you mean "optimizer.learning_rate"?'),
    ("a folder without data", ["task", "add", "docs/pictures", "--name", "x"],
     "pictures: it is a folder without data files"),
    ("no value of a setting", ["train", "--task", "lights", "--method", "sft", "--set", "seed"],
     '"seed" is no setting'),
    ("bad value", ["train", "--task", "lights", "--method", "sft", "--steps", "0"], '"steps" is 0'),
    ("no version", ["premise", "lights@7"], 'task "lights" has no version "7"'),
    ("no run to start from", ["train", "--task", "lights", "--method", "sft", "--start-from", "x"],
     'there is no run "x"'),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "found"), [each[1:] for each in MISTAKES], ids=[each[0] for each in MISTAKES]
)
@pytest.mark.usefixtures("with_task")
def test_a_mistake_is_told_in_one_sentence_with_a_remedy(
    arguments: list[str], found: str, call: Call
) -> None:
    plain, as_json = call(*arguments), call(*arguments, "--json")
    assert (plain.code, as_json.code) == (2, 2)
    assert plain.out == ""
    assert plain.err == as_json.err
    (line,) = plain.err.splitlines()
    assert line.startswith("sdlab: ")
    assert found in line
    contract.check(contract.Refused, as_json.document)
    error = as_json.document["error"]
    assert error["message"] in line
    assert error["where"]
    assert error["where"] in line
    assert line.endswith(error["remedy"])


def test_an_option_without_its_value_is_told_with_its_command(call: Call) -> None:
    told = call("task", "add", "x.jsonl", "--name")
    assert told.code == 2
    assert told.err == (
        "sdlab: task add: Option '--name' requires an argument; see: sdlab task add --help\n"
    )


@pytest.mark.usefixtures("with_task")
def test_a_mistake_leaves_nothing_queued(call: Call) -> None:
    for _, arguments, _ in MISTAKES:
        call(*arguments)
    assert call("runs", "--json").done() == []
    assert len(call("task", "list", "--json").done()) == 1


def test_a_bad_setting_of_the_lab_names_its_variable(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDLAB_THREADS", "all")
    refused = call("runs", "--json")
    assert refused.code == 2
    assert refused.document["error"]["message"].startswith("SDLAB_THREADS is 'all'")


def test_a_home_that_cannot_be_made_is_a_users_mistake(
    call: Call, monkeypatch: pytest.MonkeyPatch, rows_file: Path
) -> None:
    monkeypatch.setenv("SDLAB_HOME", str(rows_file / "home"))
    refused = call("runs", "--json")
    assert refused.code == 2
    contract.check(contract.Refused, refused.document)
    assert "set SDLAB_HOME to a folder that you may write to" in refused.err


def test_yaml_that_is_none_is_told_with_its_line(
    call: Call, with_task: str, tmp_path: Path
) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(f"task: {with_task}\nmethod: [sdft\n")
    refused = call("train", path, "--json")
    assert refused.code == 2
    assert "not valid YAML" in refused.err
    assert f"{path}, line 3" in refused.document["error"]["where"]


def test_a_run_that_has_ended_cannot_be_stopped_again(
    call: Call, with_task: str, tiny_folder: Path
) -> None:
    run = call("train", "--task", with_task, "--method", "sft", "--model", tiny_folder,
               "--json").done()  # fmt: skip
    assert call("resume", run["id"]).code == 2, "it waits already"
    call("stop", run["id"])
    refused = call("stop", run["id"], "--json")
    assert refused.code == 2
    assert refused.document["error"]["code"] == "wrong_state"


def test_one_run_is_not_compared(call: Call, with_task: str, tiny_folder: Path) -> None:
    run = call("train", "--task", with_task, "--method", "sft", "--model", tiny_folder,
               "--json").done()  # fmt: skip
    assert "name two or more" in call("compare", run["id"]).err
    premise = call("premise", with_task, "--model", tiny_folder, "--json").done()
    refused = call("compare", run["id"], premise["id"], "--json")
    assert refused.code == 2, "a premise check has no configuration to compare"


def test_a_name_of_two_runs_asks_for_more_of_the_id(
    call: Call, with_task: str, tiny_folder: Path
) -> None:
    arguments = ("train", "--task", with_task, "--method", "sft", "--model", tiny_folder,
                 "--name", "twin", "--json")  # fmt: skip
    ids = [call(*arguments).done()["id"] for _ in range(2)]
    refused = call("show", "twin", "--json")
    assert refused.code == 2
    assert all(run_id[:8] in refused.err for run_id in ids)


def test_exit_codes_and_streams_of_the_installed_command(command: Command, rows_file: Path) -> None:
    added = command("task", "add", rows_file, "--name", "lights")
    contract.check(contract.Added, added.done())
    assert added.err == ""
    refused = command("task", "show", "none")
    assert refused.code == 2
    contract.check(contract.Refused, refused.document)
    assert refused.err.startswith('sdlab: task: there is no task "none"')
    with closing(sqlite3.connect(command.home / "lab.sqlite")) as database, database:
        database.execute("UPDATE task_versions SET report = 'no JSON'")
    fault = command("task", "show", "lights")
    assert fault.code == 1
    contract.check(contract.Refused, fault.document)


def test_a_fault_of_ours_names_its_log(call: Call, with_task: str, home: Path) -> None:
    with closing(sqlite3.connect(home / "lab.sqlite")) as database, database:
        database.execute("UPDATE task_versions SET report = 'no JSON'")
    fault = call("task", "show", with_task, "--json")
    assert fault.code == 1
    contract.check(contract.Refused, fault.document)
    (log,) = (home / "logs").iterdir()
    assert str(log) in fault.err
    assert str(log) in fault.document["error"]["remedy"]
    assert fault.err.count("\n") == 1
    assert "Traceback" not in fault.err
    text = log.read_text("utf-8")
    assert "Traceback" in text
    assert "JSONDecodeError" in text


def test_a_database_file_that_is_none_is_told_and_left_alone(
    call: Call, with_task: str, home: Path
) -> None:
    for content in (b"no database" * 100, b"SQLite format 3\0" + b"x" * 500):
        for name in ("lab.sqlite-wal", "lab.sqlite-shm"):
            (home / name).unlink(missing_ok=True)
        (home / "lab.sqlite").write_bytes(content)
        refused = call("task", "show", with_task, "--json")
        assert refused.code == 2
        contract.check(contract.Refused, refused.document)
        assert "cannot open the lab's database" in refused.err
        assert refused.document["error"]["remedy"] == "run: sdlab doctor"
        assert (home / "lab.sqlite").read_bytes() == content
    looked = call("doctor", "--json")
    assert looked.code == 1
    (check,) = (check for check in looked.document["checks"] if check["name"] == "database")
    assert not check["ok"]
    assert check["remedy"]
    assert (home / "lab.sqlite").read_bytes() == content


def test_a_no_go_premise_is_told_in_the_same_words_by_both_forms_and_overruled(
    call: Call, with_task: str, home: Path, tiny_folder: Path
) -> None:
    with closing(build_lab(Settings(home=home, threads=1), LAUNCHERS["inline"])) as lab:
        shown = {"task": with_task, "model": str(tiny_folder), "max_new_tokens": 2}
        lab.wait([lab.premise({**shown, "context": "earlier-turn-twice"})])
    arguments = ["train", "--task", with_task, "--method", "sdft", "--model", tiny_folder]
    plain, as_json = call(*arguments), call(*arguments, "--json")
    assert (plain.code, as_json.code) == (2, 2)
    error = as_json.document["error"]
    line = plain.err.splitlines()[-1]
    assert line == f"sdlab: premise: {error['message']}; {error['remedy']}"
    assert "the premise is no-go: in form earlier-turn-twice the teacher scores" in line
    assert line.endswith("or launch anyway with --anyway")
    run = call(*arguments, "--anyway", "--json").done()
    assert run["result"]["overruled"] in call("show", run["id"]).out
