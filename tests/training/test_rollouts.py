"""Completions to train on: who writes them, in which shares, and how long they are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

from backend.config import RolloutConfig, RunConfig
from backend.data.demonstration import Demonstration
from backend.training.contexts import read_prompts
from backend.training.generation import Sampling, generate
from backend.training.rollouts import (
    Rollouts,
    assign_sources,
    demonstration_ids,
    longest_completion,
    longest_generated,
    roll_out,
)
from backend.training.step import step_generator
from backend.training.trainer import Trainer
from tests.tiny_model import PAD_ID, TURN_END_ID
from tests.training.tiny_runs import (
    demonstration,
    demonstrations,
    disturb_adapter,
    tiny_config,
    tiny_trainer,
)

FALLING = {"demonstration": {"from": 1, "to": 0, "over": 10}, "student": "rest"}


def rolled(trainer: Trainer, rows: list[Demonstration], step: int = 0) -> Rollouts:
    prompts = read_prompts(trainer.model.tokenizer, rows, trainer.config.teacher)
    generator = step_generator(trainer.model, trainer.config.seed, step)
    return roll_out(
        trainer.model, trainer.teacher, rows, prompts, trainer.config.rollout, step, generator
    )


def disturbed(folder: Path, config: RunConfig) -> Trainer:
    trainer = tiny_trainer(folder, config)
    disturb_adapter(trainer.model)
    return trainer


def shares(config: RolloutConfig, step: int, rows: int = 4, draws: int = 400) -> Counter[str]:
    generator = torch.Generator().manual_seed(0)
    drawn: Counter[str] = Counter()
    for _ in range(draws):
        drawn.update(assign_sources(config, step, rows, generator))
    return drawn


@pytest.mark.parametrize("share", [0.0, 0.1, 0.37, 0.5, 1.0])
def test_shares_are_exact_in_expectation(share: float) -> None:
    config = RolloutConfig(source={"demonstration": share, "student": "rest"})
    drawn = shares(config, step=0)
    assert drawn["demonstration"] / drawn.total() == pytest.approx(share, abs=0.02)
    generator = torch.Generator().manual_seed(0)
    counts = {assign_sources(config, 0, 4, generator).count("demonstration") for _ in range(100)}
    assert counts <= {int(share * 4), int(share * 4) + (share * 4 % 1 > 0)}


def test_shares_of_three_sources() -> None:
    config = RolloutConfig(source={"demonstration": 0.25, "teacher": 0.3, "student": "rest"})
    drawn = shares(config, step=0)
    assert drawn["demonstration"] / drawn.total() == pytest.approx(0.25, abs=0.02)
    assert drawn["teacher"] / drawn.total() == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize(("step", "share"), [(0, 1.0), (5, 0.5), (10, 0.0), (50, 0.0)])
def test_a_share_follows_its_schedule(step: int, share: float) -> None:
    drawn = shares(RolloutConfig(source=FALLING), step)
    assert drawn["demonstration"] / drawn.total() == share


class NamedDevices(TorchFunctionMode):
    """Refuses what torch refuses on a GPU: to draw on the CPU from the GPU's generator."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if function in (torch.rand, torch.randperm) and "device" not in kwargs:
            raise AssertionError(f"{function.__name__} draws on the CPU from any generator")
        return function(*args, **kwargs)


def test_shares_are_drawn_on_the_generators_device() -> None:
    with NamedDevices():
        sources = assign_sources(RolloutConfig(source=FALLING), 5, 4, torch.Generator())
    assert len(sources) == 4


def test_no_place_in_the_batch_is_preferred() -> None:
    config = RolloutConfig(source={"demonstration": 0.5, "student": "rest"})
    generator = torch.Generator().manual_seed(0)
    places: Counter[int] = Counter()
    for _ in range(400):
        sources = assign_sources(config, 0, 4, generator)
        places.update(i for i, source in enumerate(sources) if source == "demonstration")
    assert all(places[i] / 400 == pytest.approx(0.5, abs=0.1) for i in range(4))


def test_a_demonstration_is_its_tokens_and_the_end_of_the_turn(tiny_folder: Path) -> None:
    trainer = disturbed(tiny_folder, tiny_config("sft", rollout__max_new_tokens=40))
    rows = demonstrations(4)
    rollouts = rolled(trainer, rows)
    for row, completion in zip(rows, rollouts.completions, strict=True):
        assert completion == [*trainer.model.tokenizer.encode(row.demonstration), TURN_END_ID]
    assert rollouts.sources == ["demonstration"] * 4
    assert rollouts.clipped == [False] * 4


@pytest.mark.parametrize("end", ["<|im_end|>", "<|endoftext|>"])
def test_a_demonstration_stops_at_its_first_end_token(end: str, tiny_folder: Path) -> None:
    """Checklist 16: the first stop token counts, later tokens do not, also where pad equals eos."""
    model = tiny_trainer(tiny_folder, tiny_config("sft")).model
    row = demonstration(1, answer=f"the light{end} and more")
    expected = [*model.tokenizer.encode("the light"), TURN_END_ID if "im" in end else PAD_ID]
    assert demonstration_ids(model, row) == expected


@pytest.mark.parametrize("method", ["sft", "sdft"])
def test_a_demonstration_is_whole_whatever_may_be_generated(method: str, tiny_folder: Path) -> None:
    """Without its end a student never learns to stop: the limit is for what is generated."""
    config = tiny_config(method, rollout__source=FALLING, rollout__max_new_tokens=3)
    trainer = disturbed(tiny_folder, config)
    row = demonstration(1, answer="you and the light of the question")
    rollouts = rolled(trainer, [row, demonstration(3, answer="a<|endoftext|>")])
    assert rollouts.completions[0] == demonstration_ids(trainer.model, row)
    assert rollouts.completions[0][-1] == TURN_END_ID
    assert len(rollouts.completions[0]) > 3
    assert rollouts.clipped == [False, False]


@pytest.mark.parametrize("weights", ["base", "ema"])
def test_student_and_teacher_write_with_their_own_weights_and_prompts(
    weights: str, tiny_folder: Path
) -> None:
    """Top-k 1 makes sampling greedy."""
    config = tiny_config(
        rollout__source={"teacher": 0.5, "student": "rest"},
        rollout__top_k=1,
        teacher__weights=weights,
    )
    trainer = disturbed(tiny_folder, config)
    rows = demonstrations(6)
    rollouts = rolled(trainer, rows)
    prompts = read_prompts(trainer.model.tokenizer, rows, config.teacher)
    assert prompts.teacher is not None
    greedy = Sampling(8)
    by_student = generate(trainer.model, prompts.student, greedy)
    with trainer.teacher.in_place():
        by_teacher = generate(trainer.model, prompts.teacher, greedy)
    assert Counter(rollouts.sources) == {"teacher": 3, "student": 3}
    for i, source in enumerate(rollouts.sources):
        expected = by_teacher[i] if source == "teacher" else by_student[i]
        assert rollouts.completions[i] == expected
    assert by_student != by_teacher


def test_lengths_follow_their_schedule_and_cut_completions_are_counted(tiny_folder: Path) -> None:
    config = tiny_config(rollout__max_new_tokens={"from": 2, "to": 9, "over": 7})
    trainer = disturbed(tiny_folder, config)
    ends = trainer.model.tokenizer.eos_ids
    for step, longest in ((0, 2), (3, 5), (7, 9), (100, 9)):
        rollouts = rolled(trainer, demonstrations(6), step)
        assert max(map(len, rollouts.completions)) == longest
        for completion, clipped in zip(rollouts.completions, rollouts.clipped, strict=True):
            assert clipped == (completion[-1] not in ends)
    assert longest_generated(config.rollout) == 9
    assert longest_generated(tiny_config(rollout__max_new_tokens=5).rollout) == 5


@pytest.mark.parametrize(
    ("source", "words", "longest"),
    [
        ("demonstration", 1, 2),
        ("demonstration", 9, 10),
        ("student", 9, 5),
        ({"demonstration": 0.5, "student": "rest"}, 1, 5),
        ({"demonstration": 0.5, "student": "rest"}, 9, 10),
    ],
)
def test_a_rows_longest_completion_is_its_demonstration_or_what_is_generated(
    source: Any, words: int, longest: int, tiny_folder: Path
) -> None:
    config = tiny_config(rollout__source=source, rollout__max_new_tokens=5)
    row = demonstration(1, answer=" the" * words)
    model = tiny_trainer(tiny_folder, config).model
    assert longest_completion(model, config, row) == longest
