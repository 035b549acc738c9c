"""A disk that is full: told in words, nothing stored by halves, nothing lost."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from app.cli import main
from storage.database import open_database
from storage.staging import STAGING
from tests.cli import contract
from tests.cli.command import Command, Outcome, environment
from tests.integration.small_disks import SmallDisk, small_disk
from tests.lab.tiny_tasks import rows, write_rows
from tests.wholeness import assert_lab_whole

MIB = 1 << 20


def contents(home: Path) -> tuple[list[Any], list[Any]]:
    """The stored tasks and the lab's files; the database must be whole."""
    with closing(sqlite3.connect(home / "lab.sqlite")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        tables = ("tasks", "task_versions", "task_rows", "artifacts")
        stored = [database.execute(f"SELECT * FROM {name}").fetchall() for name in tables]
    # Holds large versions while they are written; none is in it now, as the tables tell.
    stored[0] = [row for row in stored[0] if STAGING not in row]
    files = [path for path in home.rglob("*") if path.is_file() and "lab.sqlite" not in path.name]
    return stored, sorted(files)


def assert_whole_at(home: Path, *told: str) -> None:
    """What holds after any fault, of the lab at ``home``."""
    database = open_database(f"sqlite:///{home / 'lab.sqlite'}")
    try:
        assert_lab_whole(database, home, *told)
    finally:
        database.close()


@pytest.fixture(params=[100])
def database_limit(request: pytest.FixtureRequest) -> Iterator[None]:
    """Databases of so many pages of 4 KiB: SQLite's own limit gives the error of a full disk."""

    def limit(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA max_page_count = {request.param}")

    event.listen(Engine, "connect", limit)
    yield
    event.remove(Engine, "connect", limit)


def add(disk: SmallDisk, file: Path, name: str) -> Outcome:
    return disk.command("task", "add", file, "--name", name)


def test_adding_a_task_to_a_full_disk_leaves_the_lab_as_it_was(tmp_path: Path) -> None:
    small = write_rows(tmp_path / "small.jsonl", rows(6))
    large = tmp_path / "large.jsonl"
    line = json.dumps({"prompt": "question {}", "answer": "light " * 100})
    large.write_text("".join(line.replace("{}", str(i)) + "\n" for i in range(6000)))
    assert large.stat().st_size > 2 * MIB
    with small_disk(tmp_path / "disk", 2 * MIB) as disk:
        add(disk, small, "lights").done()
        before = contents(disk.command.home)
        refused = add(disk, large, "large")
        assert refused.code == 2, refused.err
        contract.check(contract.Refused, refused.document)
        assert refused.document["error"]["code"] == "disk_full"
        assert "the disk is full" in refused.err
        assert refused.err.count("\n") == 1
        assert contents(disk.command.home) == before
        room = disk.with_room()
        assert room("task", "add", large, "--name", "large").done()["rows"]["training"] == 4800
        assert [task["name"] for task in room("task", "list").done()] == ["large", "lights"]


def test_a_database_that_cannot_grow_takes_no_half_task(
    database_limit: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The file is kept before the rows are stored, and must go again."""
    home = tmp_path / "home"
    for name, value in environment(home).items():
        monkeypatch.setenv(name, value)
    few, many = (write_rows(tmp_path / f"{n}.jsonl", rows(n)) for n in (6, 4000))
    assert main(["task", "add", str(few), "--name", "few"]) == 0
    before = contents(home)
    capsys.readouterr()
    assert main(["task", "add", str(many), "--name", "many", "--json"]) == 2
    refused = contract.one_document(capsys.readouterr().out)
    contract.check(contract.Refused, refused)
    assert refused["error"]["code"] == "disk_full"
    assert contents(home) == before


@pytest.mark.parametrize("database_limit", [10], indirect=True)
def test_a_disk_without_room_for_the_database_is_told_as_such(
    database_limit: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environment(tmp_path / "home").items():
        monkeypatch.setenv(name, value)
    assert main(["runs", "--json"]) == 2
    refused = contract.one_document(capsys.readouterr().out)
    contract.check(contract.Refused, refused)
    assert refused["error"]["code"] == "disk_full"


def train_options(tiny_folder: Path) -> list[Any]:
    """Adapters of rank 256: a checkpoint takes 5 MiB and its largest file 2.4 MiB."""
    settings = ("steps=3", "batch_size=2", "checkpoint_every=2", "adapter.rank=256",
                "evaluate.probes=[task]", "evaluate.max_new_tokens=4", "traces.every=1",
                "traces.watched=0", "traces.sampled=1")  # fmt: skip
    chosen = [part for setting in settings for part in ("--set", setting)]
    return ["train", "--task", "lights", "--method", "sft", "--model", tiny_folder, *chosen]


def test_a_checkpoint_larger_than_a_file_may_be_loses_nothing(
    tiny_folder: Path, tmp_path: Path
) -> None:
    file = write_rows(tmp_path / "rows.jsonl", rows(8))
    home = tmp_path / "home"
    limited = SmallDisk(Command(home, file_limit=2 * MIB), is_mounted=False)
    add(limited, file, "lights").done()
    failed = limited.command(*train_options(tiny_folder), "--wait")
    assert failed.code == 2, "a full disk is the user's to put right"
    assert "the disk is full" in failed.err
    run = failed.document
    contract.check(contract.Run, run)
    assert run["state"] == "failed"
    assert run["error"]["code"] == "disk_full"
    assert "sdlab resume" in run["error"]["remedy"]
    assert run["checkpoints"] == run["artifacts"] == []
    assert run["progress"]["step"] == 2, "what was told before the failure is stored"
    contents(home)
    assert_whole_at(home, "the disk is full", "sdlab resume")
    left = [path for path in (home / "runs").rglob("*") if path.name != "worker.log"]
    assert [path for path in left if path.is_file()] == []
    run = limited.with_room()("resume", run["id"], "--wait").done()
    assert (run["state"], run["attempt"], run["error"]) == ("done", 2, None)
    assert [point["step"] for point in run["checkpoints"]] == [2, 3]
    assert_whole_at(home)


def test_a_run_waits_for_room_on_the_disk_and_goes_on(tiny_folder: Path, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", rows(8))
    with small_disk(tmp_path / "disk", 2 * MIB) as disk:
        if not disk.is_mounted:
            return  # Who may not mount a small disk has the test above.
        add(disk, file, "lights").done()
        training = disk.command.start(*train_options(tiny_folder), "--wait", "--json")
        told = "SELECT message FROM events WHERE kind = 'low_disk'"
        deadline = time.monotonic() + 120
        with closing(sqlite3.connect(disk.command.home / "lab.sqlite", timeout=30)) as database:
            while not (messages := database.execute(told).fetchall()):
                assert training.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert "paused: " in messages[0][0]
        assert "free some space, and the run goes on" in messages[0][0]
        disk.with_room()
        out, err = training.communicate(timeout=120)
        assert training.returncode == 0, err
        run = contract.one_document(out)
        assert (run["state"], run["attempt"]) == ("done", 1)
        assert [point["step"] for point in run["checkpoints"]] == [2, 3]
        assert_whole_at(disk.command.home, "free some space, and the run goes on")
