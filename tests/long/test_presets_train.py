"""Each preset trains the bundled model on the home task: two steps, as small as they can be."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from backend.bundled import material_path
from backend.config import RunConfig
from backend.data.demonstration import Demonstration, Message
from backend.jobs.general import general_prompts
from backend.methods import PRESETS, resolve, set_dotted
from backend.models.compute import Compute
from backend.models.language_model import LanguageModel, load_model
from backend.training.loop import make_trainer, train
from backend.training.row_checks import Rows
from tests.recording import ListRecorder

NAME = "smollm2-135m-instruct"
# More tokens than any preset skips, and an adapter on few layers: PEFT's work would take longest.
SMALLEST = {"steps": 2, "batch_size": 1, "rollout.max_new_tokens": 5, "adapter.rank": 2,
            "adapter.targets": ["q_proj"], "traces.every": 0, "optimizer.warmup_steps": 0,
            "checkpoint_every": 2}  # fmt: skip


def home_rows(part: str) -> list[Demonstration]:
    lines = material_path(f"tasks/home-commands.{part}.jsonl").read_text("utf-8").splitlines()
    return [
        Demonstration(
            id=row["id"],
            row=number,
            messages=(Message(role="user", content=row["prompt"]),),
            demonstration=row["demonstration"],
            reference=row["reference"],
        )
        for number, row in enumerate(map(json.loads, lines[:4]), start=1)
    ]


def smallest(preset: str) -> RunConfig:
    document: dict[str, Any] = {"task": "home-commands", "method": preset}
    for key, value in SMALLEST.items():
        set_dotted(document, key, value)
    choices = PRESETS[preset].choices
    if "rollout.per_prompt" in choices and choices["rollout.per_prompt"].value > 1:
        set_dotted(document, "rollout.per_prompt", 2)
    if "rollout.min_lines" in choices:
        # Five tokens are one line.
        set_dotted(document, "rollout.min_lines", 1)
    return resolve(document)


@pytest.fixture(scope="module")
def base(bundled_models: Path) -> LanguageModel:
    return load_model(NAME, bundled_models / NAME, Compute(torch.device("cpu"), torch.float32))


@contextmanager
def untouched(base: LanguageModel) -> Iterator[LanguageModel]:
    """The base model to put an adapter on, which is taken off again."""
    model = LanguageModel(base.name, base.network, base.tokenizer, base.compute, base.digest)
    try:
        yield model
    finally:
        base.network = model.network.unload()


def judge(answer: str, row: Demonstration) -> tuple[float, str]:
    return float(len(answer) % 2), "its length is even"


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_trains_on_the_home_task(preset: str, base: LanguageModel, tmp_path: Path) -> None:
    config, recorder = smallest(preset), ListRecorder()
    is_general = config.rollout.prompts == "general"
    training = general_prompts()[:4] if is_general else home_rows("training")
    with untouched(base) as model:
        trainer = make_trainer(model, config, None, judge=judge)
        before = {name: p.detach().clone() for name, p in model.adapter_parameters().items()}
        if is_general:
            # The base is its own teacher, until the student has left it.
            for name, parameter in model.adapter_parameters().items():
                parameter.data.add_(0.01 if "lora_B" in name else 0.0)
        rows = Rows(training, home_rows("held_out"))
        assert train(trainer, rows, recorder, tmp_path, lambda done: None) == 2
        after = model.adapter_parameters()
        assert any(not torch.equal(before[name], after[name]) for name in before)
    assert all(math.isfinite(values["loss"]) for values in recorder.values.values())
    assert list(recorder.checkpoints) == [2]
