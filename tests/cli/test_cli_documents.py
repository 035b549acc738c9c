"""With --json, a command prints its one document on stdout, and all else on stderr."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from app.cli import sdlab
from tests.cli import contract
from tests.cli.command import Command, Outcome

Call = Callable[..., Outcome]
# A server prints its address until it is stopped; groups only hold commands.
WITHOUT_JSON = {"serve"}


def commands(group: click.Command, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(group, click.Group):
        return [path]
    return [
        found for name, each in group.commands.items() for found in commands(each, (*path, name))
    ]


@pytest.mark.parametrize("path", commands(sdlab), ids=" ".join)
def test_every_command_has_json_and_help(path: tuple[str, ...], call: Call) -> None:
    helped = call(*path, "--help")
    assert helped.code == 0
    assert ("--json" in helped.out) == (path[0] not in WITHOUT_JSON)
    assert helped.err == ""


def test_no_command_shows_the_help(call: Call) -> None:
    for arguments in ([], ["task"]):
        helped = call(*arguments)
        assert helped.code == 0
        assert "Usage: sdlab" in helped.out
        assert helped.err == ""


def test_adding_a_task_says_what_was_stored(call: Call, rows_file: Path) -> None:
    added = call("task", "add", rows_file, "--name", "lights", "--held-out", "3", "--json")
    contract.check(contract.Added, added.done())
    assert added.err == ""
    document = added.document
    assert (document["name"], document["version"]) == ("lights", 1)
    assert document["rows"] == {"training": 7, "held_out": 3}
    assert document["report"]["ok"]
    assert document["report"]["rows_read"] == 10


def test_the_same_file_again_is_the_same_version(call: Call, rows_file: Path) -> None:
    first, again = (
        call("task", "add", rows_file, "--name", "lights", "--json").done() for _ in range(2)
    )
    assert (first["id"], first["is_new"]) == (again["id"], True)
    assert not again["is_new"]
    (task,) = call("task", "list", "--json").done()
    assert len(task["versions"]) == 1


def test_other_rows_make_the_next_version(call: Call, rows_file: Path, with_task: str) -> None:
    with rows_file.open("a", encoding="utf-8") as handle:
        handle.write(json.dumps({"prompt": "one more", "answer": "yes"}) + "\n")
    assert call("task", "add", rows_file, "--name", with_task, "--json").done()["version"] == 2
    shown = call("task", "show", with_task, "--json").done()
    contract.check(contract.Task, shown)
    assert [version["version"] for version in shown["versions"]] == [1, 2]


def test_keep_good_reports_the_rows_it_leaves_out(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    path.write_text("frage,antwort\n" + "".join(f"q{i},a{i}\n" for i in range(6)) + "q9,\n")
    columns = ("--map", "prompt=frage", "--map", "demonstration=antwort")
    added = call("task", "add", path, "--name", "t", *columns, "--keep-good", "--json")
    contract.check(contract.Added, added.done())
    (problem,) = added.document["report"]["problems"]
    assert (problem["row"], problem["field"]) == (7, "antwort")
    assert sum(added.document["rows"].values()) == 6


def test_lists_are_lists_even_when_empty(call: Call) -> None:
    assert call("task", "list", "--json").done() == []
    assert call("runs", "--json").done() == []


def test_the_listed_tasks_are_documents(call: Call, with_task: str) -> None:
    contract.check(list[contract.Task], call("task", "list", "--json").done())


def test_an_exported_task_comes_back_the_same(
    call: Call, with_task: str, tmp_path: Path, rows_file: Path
) -> None:
    target = tmp_path / "out.jsonl"
    exported = call("task", "export", with_task, "--to", target, "--json").done()
    contract.check(contract.TaskFile, exported)
    assert exported["rows"] == 10
    assert exported["bytes"] == target.stat().st_size
    assert call("task", "add", target, "--name", "again", "--json").done()["rows"] == {
        "training": 8,
        "held_out": 2,
    }


def test_queued_jobs_are_run_documents(call: Call, with_task: str, tiny_folder: Path) -> None:
    queued = call("train", "--task", with_task, "--method", "sdft", "--model", tiny_folder,
                  "--steps", 3, "--baseline", "sft", "--json")  # fmt: skip
    contract.check(list[contract.Run], queued.done())
    assert [run["method"] for run in queued.document] == ["sdft/small-model", "sft/small-model"]
    assert "about" in queued.err
    assert "queued: run sdlab serve, or give --wait" in queued.err
    premise = call("premise", with_task, "--model", tiny_folder, "--json").done()
    contract.check(contract.Run, premise)
    scored = call("evaluate", tiny_folder, "--probe", "prior:facts", "--json").done()
    contract.check(contract.Run, scored)
    listed = call("runs", "--json").done()
    contract.check(list[contract.Run], listed)
    kinds = [(run["kind"], run["state"], run["attempt"]) for run in listed]
    assert (
        kinds
        == [("evaluate", "queued", 0), ("premise", "queued", 0)] + [("train", "queued", 0)] * 2
    )
    assert all(run["task"] == with_task for run in listed[1:])


def test_one_run_is_a_document_by_id_prefix_or_name(
    call: Call, with_task: str, tiny_folder: Path
) -> None:
    run = call("train", "--task", with_task, "--method", "sft", "--model", tiny_folder,
               "--name", "mine", "--json").done()  # fmt: skip
    contract.check(contract.Run, run)
    for name in (run["id"], run["id"][:8], "mine"):
        assert call("show", name, "--json").done() == run


def test_a_queued_run_can_be_stopped_and_resumed(
    call: Call, with_task: str, tiny_folder: Path
) -> None:
    run = call("train", "--task", with_task, "--method", "sft", "--model", tiny_folder,
               "--json").done()  # fmt: skip
    stopped = call("stop", run["id"], "--json").done()
    contract.check(contract.Run, stopped)
    assert stopped["state"] == "cancelled"
    resumed = call("resume", run["id"], "--json").done()
    contract.check(contract.Run, resumed)
    assert resumed["state"] == "queued"


def test_a_configuration_file_and_options_say_the_same(
    call: Call, with_task: str, tiny_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(
        f"task: {with_task}\nmodel: {tiny_folder}\nmethod: sdft\nsteps: 7\nseed: 3\n"
        "optimizer: {learning_rate: 0.0003}\n"
    )
    from_file = call("train", path, "--json").done()
    from_options = call("train", "--task", with_task, "--model", tiny_folder, "--method", "sdft",
                        "--steps", 7, "--seed", 3, "--set", "learning_rate=3e-4",
                        "--json").done()  # fmt: skip
    assert from_file["config"] == from_options["config"]
    assert from_file["config"]["optimizer"]["learning_rate"] == 3e-4
    overridden = call("train", path, "--steps", 2, "--json").done()
    assert overridden["config"] == from_file["config"] | {"steps": 2}


def test_doctor_looks_at_all_that_it_should(command: Command) -> None:
    """As a process: torch's word comes from one of its own, and stderr must stay silent."""
    looked = command("doctor")
    contract.check(contract.Doctor, looked.document)
    checks = {check["name"]: check for check in looked.document["checks"]}
    assert checks.keys() >= {
        "python", "torch", "disk", "memory", "write access", "database", "bundled model", "port",
    }  # fmt: skip
    assert looked.code == (0 if all(check["ok"] for check in checks.values()) else 1)
    assert all(check["remedy"] for check in checks.values() if not check["ok"])
    assert looked.err == ""
    assert not command.home.exists()
