"""The queue's order and the lab's files, from the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.cli import main
from backend.settings import Settings
from storage.database import open_database
from storage.models import Run
from storage.runs import Runs
from tests.cli.command import environment
from tests.cli.contract import one_document

Call = Callable[..., Any]


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """A command's document, or its exit code and what it said."""
    for name, value in environment(tmp_path / "home").items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, code: int = 0) -> Any:
        assert main([*arguments, "--json"]) == code
        return one_document(capsys.readouterr().out)

    assert run("runs") == []
    database = open_database(Settings().database)
    Runs(database).enqueue(
        *(Run(name=name, kind="train", config={}) for name in ("first", "second"))
    )
    database.close()
    return run


def names(document: Any) -> list[str]:
    return [run["name"] for run in document["queued"]]


def test_the_queue_is_shown_moved_and_paused(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert names(call("queue")) == ["first", "second"]
    assert names(call("queue", "first", "second")) == ["second", "first"]
    assert names(call("queue", "last", "second")) == ["first", "second"]
    assert names(call("queue", "before", "second", "first")) == ["second", "first"]
    assert names(call("queue", "priority", "first", "5")) == ["first", "second"]
    assert call("queue", "pause")["paused"] is True
    assert main(["queue"]) == 0
    told = capsys.readouterr().out
    assert "paused: no queued run is started" in told
    assert "MiB free" in told
    assert call("queue", "resume")["paused"] is False
    call("stop", "first")
    refused = call("queue", "last", "first", code=2)
    assert refused["error"]["code"] == "wrong_state"
    assert "the run is cancelled" in refused["error"]["message"]


def test_the_lab_is_weighed_cleaned_copied_and_put_back(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [run["name"] for run in call("storage")["runs"]] == ["second", "first"]
    assert call("clean", "--yes") == {"deleted": True, "files": []}
    assert call("delete", "first", code=2)["error"]["code"] == "wrong_state"
    file = tmp_path / "lab.tar"
    assert call("backup", str(file))["bytes"] == file.stat().st_size
    call("stop", "first")
    assert call("delete", "first")["deleted"] is False
    assert main(["delete", "first"]) == 0
    assert "would be deleted (give --yes)" in capsys.readouterr().out
    assert call("delete", "first", "--yes")["deleted"] is True
    assert [run["name"] for run in call("runs")] == ["second"]
    assert call("restore", str(file), code=2)["error"]["code"] == "wrong_state"

    monkeypatch.setenv("SDLAB_HOME", str(tmp_path / "other"))
    assert call("restore", str(file)) == {"home": str(tmp_path / "other")}
    assert names(call("queue")) == ["first", "second"]
    assert main(["storage"]) == 0
    assert "checkpoints" in capsys.readouterr().out
