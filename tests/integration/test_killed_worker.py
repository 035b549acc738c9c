"""A worker that is killed, and a run that is stopped: nothing is lost, nothing counts twice."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.cli import main
from backend.atomic import file_sha256
from backend.jobs.usage import KEYS, MOST
from backend.jobs.work.context import run_folder
from storage.models import Metric, Run
from storage.runs import Runs
from storage.traces import Traces
from tests.cli import contract
from tests.cli.command import environment
from tests.cli.contract import one_document
from tests.integration.conftest import BATCH, STEPS, Loop, train_options
from tests.wholeness import assert_lab_whole

DEADLINE_S = 120.0
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(loop: Loop) -> Iterator[Start]:
    """Starts commands; those that a failed test leaves behind are ended."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: Any) -> subprocess.Popen[str]:
        started.append(loop.command.start(*arguments, "--wait", "--json"))
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def metric_points(loop: Loop, run_id: str) -> dict[tuple[str, int], float | None]:
    """The curves of a run; what its machine had to give is no part of what it computed."""
    statement = select(Metric.key, Metric.step, Metric.value).where(
        Metric.run_id == run_id, Metric.key.not_in([*KEYS, *MOST.values()])
    )
    with loop.lab.database.read() as session:
        return {(key, step): value for key, step, value in session.execute(statement)}


def wait_for_step(loop: Loop, name: str, step: int) -> Run:
    """The run called ``name``, once a metric of ``step`` is stored."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        for run in Runs(loop.lab.database).find(name):
            if run.step >= step and ("loss", step) in metric_points(loop, run.id):
                return run
            assert run.ended_at is None, run.error
        time.sleep(0.01)
    raise AssertionError(f"{name} did not reach step {step} within {DEADLINE_S} s")


def end_of(process: subprocess.Popen[str]) -> Any:
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, err
    return one_document(out)


def test_a_killed_workers_run_ends_as_if_nothing_had_happened(
    loop: Loop, start: Start, tiny_folder: Path
) -> None:
    """The loop's own run is the same one, uninterrupted: all numbers and all weights are equal."""
    process = start("train", *train_options(tiny_folder), "--name", "killed")
    victim = wait_for_step(loop, "killed", 6)
    assert victim.pid is not None
    os.kill(victim.pid, signal.SIGKILL)
    run = end_of(process)

    contract.check(contract.Run, run)
    assert (run["state"], run["error"], run["attempt"]) == ("done", None, 2)
    told = [event["message"] for event in run["events"]]
    assert sum("resumed from the checkpoint of step" in line for line in told) == 1
    assert_lab_whole(loop.lab.database, loop.lab.settings.home, "its worker was killed by SIGKILL")

    points = metric_points(loop, run["id"])
    expected = metric_points(loop, loop.sdft["id"])
    assert points.keys() == expected.keys()
    assert [step for key, step in sorted(points) if key == "loss"] == list(range(1, STEPS + 1))
    differing = [place for place in points if points[place] != expected[place]]
    assert {key for key, _ in differing} <= {"step_s"}

    assert [
        {name: score for name, score in found.items() if name != "id"}
        for found in run["evaluations"]
    ] == [
        {name: score for name, score in found.items() if name != "id"}
        for found in loop.sdft["evaluations"]
    ]
    ours, theirs = (
        run_folder(loop.lab.settings, each["id"]) / "checkpoints" for each in (run, loop.sdft)
    )
    steps = sorted(folder.name for folder in theirs.iterdir())
    assert sorted(folder.name for folder in ours.iterdir()) == steps
    assert steps[-1] == f"step-{STEPS:08d}"
    for step in steps:
        for name in ("adapter_model.safetensors", "teacher.safetensors", "optimizer.safetensors"):
            assert (ours / step / name).read_bytes() == (theirs / step / name).read_bytes()


def test_a_killed_workers_traces_are_those_of_an_uninterrupted_run(loop: Loop) -> None:
    (killed,) = Runs(loop.lab.database).find("killed")
    seen = [
        [
            (trace.step, trace.kind, trace.position, trace.demonstration_id, trace.completion)
            for trace in Traces(loop.lab.database).of_run(run_id)
        ]
        for run_id in (killed.id, loop.sdft["id"])
    ]
    assert seen[0] == seen[1]
    assert Counter(kind for _, kind, *_ in seen[0])["sampled"] == STEPS * BATCH


def test_a_stopped_run_leaves_an_adapter_and_goes_on_when_resumed(
    loop: Loop,
    start: Start,
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = ("steps=80", "checkpoint_every=80", "evaluate.every=0", "evaluate.premise=false",
                "evaluate.probes=[task]", "evaluate.along=[task]", "traces.watched=0",
                "traces.sampled=1")  # fmt: skip
    process = start("train", *train_options(tiny_folder, *settings), "--name", "stopped")
    run_id = wait_for_step(loop, "stopped", 2).id
    for name, value in environment(loop.command.home).items():
        monkeypatch.setenv(name, value)
    # In this process, as a command of its own takes longer to start than the run to end.
    assert main(["stop", run_id, "--json"]) == 0
    contract.check(contract.Run, one_document(capsys.readouterr().out))
    stopped = end_of(process)
    contract.check(contract.Run, stopped)
    assert (stopped["state"], stopped["error"]) == ("cancelled", None)
    (checkpoint,) = stopped["checkpoints"]
    assert 2 <= checkpoint["step"] == stopped["progress"]["step"] < 80
    (adapter,) = stopped["artifacts"]
    file = run_folder(loop.lab.settings, run_id) / "adapter.zip"
    assert file_sha256(file) == adapter["sha256"]
    loop.lab.export(run_id, tmp_path / "adapter")
    assert (tmp_path / "adapter" / "adapter_model.safetensors").is_file()

    run = end_of(start("resume", run_id))
    contract.check(contract.Run, run)
    assert (run["state"], run["attempt"], run["progress"]["step"]) == ("done", 2, 80)
    assert [point["step"] for point in run["checkpoints"]] == [checkpoint["step"], 80]
    losses = [step for key, step in metric_points(loop, run_id) if key == "loss"]
    assert sorted(losses) == list(range(1, 81))
    (newer,) = run["artifacts"]
    assert newer["id"] == adapter["id"]
    assert newer["sha256"] != adapter["sha256"]
