"""A sequence with real workers, killed in the middle: worker and command, and then gone on with."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
import yaml

from app.cli import main
from backend.bootstrap import build_lab
from backend.jobs.work.context import run_folder
from backend.lab import Lab
from backend.settings import Settings
from storage.metrics import Metrics
from storage.runs import Runs
from tests.cli import contract
from tests.cli.command import Command, environment
from tests.lab.tiny_tasks import rows, write_rows

DEADLINE_S = 120.0
STEPS = 10


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """sdlab for a lab with two tasks."""
    command = Command(tmp_path / "home")
    for name, first in (("lights", 1), ("others", 50)):
        file = write_rows(tmp_path / f"{name}.jsonl", rows(10, first=first))
        command("task", "add", file, "--name", name).done()
    return command


def wait_until(holds: Callable[[], Any]) -> Any:
    deadline = monotonic() + DEADLINE_S
    while monotonic() < deadline:
        if found := holds():
            return found
        sleep(0.02)
    raise AssertionError(f"not within {DEADLINE_S} s")


def at_work_in_stage_two(lab: Lab) -> Any:
    """The first arm's second stage, once it has trained some steps."""
    for run in Runs(lab.database).all():
        is_it = run.name == "killed · 2 others" and run.state == "running"
        if is_it and len(Metrics(lab.database).series(run.id, "loss")) >= 4:
            return run
    return None


def test_a_sequence_that_is_killed_goes_on_as_if_nothing_had_happened(
    command: Command, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Both arms are the same but for the kill, so their matrices and weights must be equal."""
    path = tmp_path / "sequence.yaml"
    same = {"method": "sft", "seed": 3}
    path.write_text(yaml.safe_dump({
        "tasks": ["lights", "others"],
        "arms": [{**same, "name": "killed"}, {**same, "name": "whole"}],
        "model": str(tiny_folder), "steps": STEPS, "batch_size": 2, "checkpoint_every": 3,
        "evaluate": {"probes": ["prior:instructions"], "limit": 4, "max_new_tokens": 4},
        "traces": {"every": 1, "watched": 0, "sampled": 1},
        "optimizer": {"learning_rate": 0.02, "warmup_steps": 0},
    }))  # fmt: skip
    lab = build_lab(Settings(home=command.home))
    first = command.start("sequence", path, "--wait", "--json")
    victim = wait_until(lambda: at_work_in_stage_two(lab))
    first.kill()
    first.communicate()
    os.kill(victim.pid, signal.SIGKILL)

    for name, value in environment(command.home).items():
        monkeypatch.setenv(name, value)
    capsys.readouterr()
    assert main(["sequence", str(path), "--wait", "--json"]) == 0
    document = contract.one_document(capsys.readouterr().out)
    contract.check(contract.TaskSequence, document)
    killed, whole = document["arms"]
    assert [run["state"] for arm in (killed, whole) for run in arm["stages"]] == ["done"] * 4
    assert [run["attempt"] for arm in (killed, whole) for run in arm["stages"]] == [1, 2, 1, 1]
    assert killed["stages"][1]["id"] == victim.id
    assert killed["matrix"] == whole["matrix"]
    assert killed["acc"] == whole["acc"] is not None
    last = [
        (run_folder(lab.settings, arm["stages"][1]["id"]) / "checkpoints" / f"step-{STEPS:08d}")
        for arm in (killed, whole)
    ]
    ours, theirs = ((folder / "adapter_model.safetensors").read_bytes() for folder in last)
    assert ours == theirs

    assert main(["sequence", str(path)]) == 0
    plain = capsys.readouterr().out
    assert document["id"] in plain
    assert "after lights@1" in plain
    assert "forgetting" in plain
    lab.close()
