"""A temporary lab behind the command line, in this process or as a command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.cli import main
from tests.cli.command import Command, Outcome, environment


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def command(home: Path) -> Command:
    """sdlab as a process of its own."""
    return Command(home)


@pytest.fixture
def call(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """sdlab in this process."""
    for name, value in environment(home).items():
        monkeypatch.setenv(name, value)

    def run(*arguments: Any) -> Outcome:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def rows_file(tmp_path: Path) -> Path:
    """Ten rows that make a task."""
    path = tmp_path / "rows.jsonl"
    rows = [{"prompt": f"question {i}", "answer": f"the answer {i}"} for i in range(10)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture
def with_task(call: Callable[..., Outcome], rows_file: Path) -> str:
    """The name of a task in the lab."""
    call("task", "add", rows_file, "--name", "lights", "--json").done()
    return "lights"
