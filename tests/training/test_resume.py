"""A run that is interrupted and resumed is, bit for bit, the run that was not."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.atomic import folder_manifest
from backend.config import AdapterConfig, RunConfig
from backend.data.demonstration import Demonstration
from backend.errors import StopRequested
from backend.training.loop import train
from backend.training.recorder import TokenTrace, Trace
from backend.training.row_checks import Rows
from tests.recording import ListRecorder
from tests.tiny_model import CONTEXT_LENGTH
from tests.training.tiny_runs import demonstration, demonstrations, tiny_config, tiny_trainer

# One row is too long for the model and passed over, before and after a resume.
TOO_LONG = demonstration(50, prompt="x " * CONTEXT_LENGTH)
ROWS = Rows([*demonstrations(7), TOO_LONG, *demonstrations(3, 8)], demonstrations(3, first=100))
STEPS = 6
SAMPLED_SDFT = tiny_config(
    "sdft",
    rollout__source={"demonstration": {"from": 1, "to": 0, "over": 5}, "student": "rest"},
    rollout__max_new_tokens={"from": 3, "to": 8, "over": 5},
    optimizer__schedule="cosine",
    optimizer__warmup_steps=2,
    traces__every=2,
    traces__watched=2,
    traces__sampled=2,
    checkpoint_every=2,
    steps=STEPS,
)
SFT = tiny_config("sft", optimizer__schedule="linear", traces__every=4, steps=STEPS)
SSD = tiny_config("ssd", rollout__max_new_tokens=6, traces__every=4, traces__sampled=2, steps=STEPS)
SDPO = tiny_config(
    "sdpo",
    rollout__max_new_tokens=6,
    rollout__per_prompt=2,
    batch_size=3,
    divergence__top_k=9,
    micro_batch_size=4,
    traces__every=4,
    traces__sampled=2,
    checkpoint_every=2,
    steps=STEPS,
)
OPSD = tiny_config("opsd", rollout__max_new_tokens=6, steps=STEPS)
DFT = tiny_config("dft", traces__every=4, steps=STEPS)
FULL = SAMPLED_SDFT.model_copy(
    update={
        "adapter": AdapterConfig(full=True),
        "optimizer": SAMPLED_SDFT.optimizer.model_copy(update={"learning_rate": 1e-3}),
    }
)
DORA = SAMPLED_SDFT.model_copy(update={"adapter": AdapterConfig(rank=4, rslora=True, dora=True)})


class Crash(Exception):
    """The machine went down."""


@dataclass
class Machine(ListRecorder):
    """A recorder that stores in batches, as the lab's does, and loses what waits in a crash."""

    crash_at_step: int = 0
    crash_at_checkpoint: int = 0
    waiting: dict[int, Mapping[str, float]] = field(default_factory=dict)

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        if step == self.crash_at_step:
            raise Crash
        self.waiting[step] = {**self.waiting.get(step, {}), **values}

    def checkpoint(self, step: int, folder: Path, sha256: str, size_bytes: int) -> None:
        if step == self.crash_at_checkpoint:
            raise Crash
        self.flush()
        super().checkpoint(step, folder, sha256, size_bytes)

    def flush(self) -> None:
        for step, values in self.waiting.items():
            super().metrics(step, values)
        self.waiting.clear()


def _judge(answer: str, row: Demonstration) -> tuple[float, str]:
    """Half of the tiny model's answers are right, by the parity of their length."""
    return float(len(answer) % 2), "odd" if len(answer) % 2 else f"even: {row.demonstration}"


def run(folder: Path, target: Path, config: RunConfig, recorder: ListRecorder) -> list[int]:
    """One attempt, as a process of its own would make it; returns where it evaluated."""
    torch.manual_seed(id(recorder) % 1000)  # What happened before must not matter.
    evaluated: list[int] = []
    trainer = replace(tiny_trainer(folder, config), judge=_judge)
    train(trainer, ROWS, recorder, target, evaluated.append)
    return evaluated


def metrics_of(recorder: ListRecorder) -> dict[int, dict[str, float]]:
    return {
        step: {key: value for key, value in values.items() if key != "step_s"}
        for step, values in recorder.values.items()
    }


def trace_values(trace: Trace) -> list[object]:
    arrays = [getattr(trace.tokens, part.name) for part in fields(TokenTrace)]
    texts = [getattr(trace, part.name) for part in fields(Trace) if part.name != "tokens"]
    return [*texts, *(None if a is None else np.asarray(a).tolist() for a in arrays)]


@dataclass(frozen=True)
class Whole:
    """A run that nothing interrupted."""

    folder: Path
    recorder: ListRecorder


def assert_same_run(whole: Whole, recorder: ListRecorder, folder: Path) -> None:
    """Adapter, average, optimizer and schedule as files; metrics and traces as values."""
    last = f"step-{STEPS:08d}"
    assert folder_manifest(folder / last) == folder_manifest(whole.folder / last)
    assert metrics_of(recorder) == metrics_of(whole.recorder)
    ours, theirs = recorder.traces, whole.recorder.traces
    assert list(map(trace_values, ours)) == list(map(trace_values, theirs))
    assert recorder.checkpoints.keys() >= {STEPS}


@pytest.fixture(scope="module")
def whole(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """SAMPLED_SDFT without any interruption."""
    folder, recorder = tmp_path_factory.mktemp("whole"), ListRecorder()
    run(tiny_folder, folder, SAMPLED_SDFT, recorder)
    return Whole(folder, recorder)


@pytest.mark.parametrize("method", ["sdft", "sft", "full", "ssd", "sdpo", "opsd", "dft", "dora"])
def test_six_steps_equal_three_a_stop_and_three(
    method: str, whole: Whole, tiny_folder: Path, tmp_path: Path
) -> None:
    config, parted = SAMPLED_SDFT, ListRecorder(stop_after=3)
    if method != "sdft":
        others = {"sft": SFT, "full": FULL, "ssd": SSD, "sdpo": SDPO, "opsd": OPSD, "dft": DFT,
                  "dora": DORA}  # fmt: skip
        config = others[method]
        whole = Whole(tmp_path / "whole", ListRecorder())
        run(tiny_folder, whole.folder, config, whole.recorder)
    with pytest.raises(StopRequested):
        run(tiny_folder, tmp_path / "parted", config, parted)
    parted.stop_after = None
    assert run(tiny_folder, tmp_path / "parted", config, parted) == [STEPS]
    assert parted.rewinds == [0, 3]
    kinds = [event.kind for event in parted.events if event.kind not in ("alarm", "choice")]
    # The sampled answers outlive the stop; they are not made, nor told of, again.
    assert kinds == (["sampled"] if method == "ssd" else []) + ["rows_skipped", "resumed"]
    assert_same_run(whole, parted, tmp_path / "parted")


@pytest.mark.parametrize("step", [2, 4, 5, 6])
def test_a_crash_in_a_step_repeats_it_from_the_checkpoint_before(
    step: int, whole: Whole, tiny_folder: Path, tmp_path: Path
) -> None:
    broken = Machine(crash_at_step=step)
    with pytest.raises(Crash):
        run(tiny_folder, tmp_path / "broken", SAMPLED_SDFT, broken)
    broken.crash_at_step = 0
    broken.waiting.clear()
    run(tiny_folder, tmp_path / "broken", SAMPLED_SDFT, broken)
    assert broken.rewinds == [0, (step - 1) // 2 * 2]
    assert_same_run(whole, broken, tmp_path / "broken")


@pytest.mark.parametrize("step", [2, 4, 6])
def test_a_crash_between_disk_and_database_loses_nothing(
    step: int, whole: Whole, tiny_folder: Path, tmp_path: Path
) -> None:
    """The checkpoint is whole but was never told of: its steps are not repeated."""
    broken = Machine(crash_at_checkpoint=step)
    with pytest.raises(Crash):
        run(tiny_folder, tmp_path / "broken", SAMPLED_SDFT, broken)
    broken.crash_at_checkpoint = 0
    broken.waiting.clear()
    run(tiny_folder, tmp_path / "broken", SAMPLED_SDFT, broken)
    assert broken.rewinds == [0, step]
    assert broken.checkpoints.keys() == {2, 4, 6}
    assert_same_run(whole, broken, tmp_path / "broken")


def test_a_torn_checkpoint_is_passed_over_and_written_again(
    whole: Whole, tiny_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole.folder, tmp_path, dirs_exist_ok=True)
    last = tmp_path / f"step-{STEPS:08d}"
    before = folder_manifest(last)
    torn = last / "adapter_model.safetensors"
    torn.write_bytes(torn.read_bytes()[:-8])
    again = ListRecorder()
    assert run(tiny_folder, tmp_path, SAMPLED_SDFT, again) == [STEPS]
    assert again.rewinds == [4]
    assert again.checkpoints.keys() == {4, 6}
    assert folder_manifest(last) == before


def test_a_finished_run_only_evaluates_again(tiny_folder: Path, tmp_path: Path) -> None:
    run(tiny_folder, tmp_path, SFT, ListRecorder())
    again = ListRecorder()
    assert run(tiny_folder, tmp_path, SFT, again) == [STEPS]
    assert again.values == {}
    assert again.checkpoints.keys() == {STEPS}
