"""AdamW over the adapter alone, and learning rates that follow their schedule."""

from __future__ import annotations

import math
from pathlib import Path
from typing import get_args

import pytest

from backend.config import OptimizerConfig
from backend.errors import ConfigError
from backend.training.step import training_step
from tests.training.tiny_runs import demonstrations, tiny_config, tiny_trainer

RATE, WARMUP, STEPS = 0.01, 2, 8


def expected_rate(schedule: str, step: int) -> float:
    """The rate of optimizer step ``step`` (from 0)."""
    if step < WARMUP:
        return RATE * step / WARMUP
    done = (step - WARMUP) / (STEPS - WARMUP)
    return (
        RATE
        * {
            "constant": 1.0,
            "linear": 1.0 - done,
            "cosine": 0.5 * (1 + math.cos(math.pi * done)),
            "cosine_with_restarts": 0.5 * (1 + math.cos(math.pi * done)),
            "inverse_sqrt": math.sqrt(WARMUP / max(step, WARMUP)),
            "polynomial": 1e-7 / RATE + (1 - 1e-7 / RATE) * (1 - done),
        }[schedule]
    )


@pytest.mark.parametrize("schedule", get_args(OptimizerConfig.model_fields["schedule"].annotation))
def test_rates_warm_up_and_follow_the_schedule(schedule: str, tiny_folder: Path) -> None:
    config = tiny_config(
        "sft",
        steps=STEPS,
        optimizer__schedule=schedule,
        optimizer__warmup_steps=WARMUP,
        optimizer__learning_rate=RATE,
    )
    trainer = tiny_trainer(tiny_folder, config)
    rates = [training_step(trainer, demonstrations(1), step).learning_rate for step in range(STEPS)]
    assert rates == pytest.approx([expected_rate(schedule, step) for step in range(STEPS)])


def test_weight_decay_reaches_the_adapter(tiny_folder: Path) -> None:
    trainer = tiny_trainer(tiny_folder, tiny_config("sft", optimizer__weight_decay=0.3))
    assert [group["weight_decay"] for group in trainer.optimizer.param_groups] == [0.3]


def test_a_rate_below_the_end_of_its_schedule_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"polynomial ends at 1e-07, but optimizer.learning_rate"):
        tiny_config("sft", optimizer__schedule="polynomial", optimizer__learning_rate=1e-8)
