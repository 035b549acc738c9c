"""The teacher's weights: where they start, how they follow, and that the student's come back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from backend.config import TeacherConfig
from backend.errors import Fault
from backend.training.checkpoints import save_checkpoint
from backend.training.loop import make_trainer
from backend.training.step import training_step
from backend.training.teacher import Teacher
from tests.tiny_model import load_tiny
from tests.training.tiny_runs import (
    adapter_of,
    assert_equal_tensors,
    demonstrations,
    disturb_adapter,
    logits_of,
    tiny_config,
    tiny_trainer,
)

WEIGHTS = ("base", "live", "ema")
each_teacher = pytest.mark.parametrize("weights", WEIGHTS)


@pytest.mark.parametrize("rate", [0.02, 0.3])
def test_the_average_closes_in_on_a_resting_student(rate: float, tiny_folder: Path) -> None:
    """Checklist 20: phi_n - theta = (1 - rate)^n (phi_0 - theta)."""
    trainer = tiny_trainer(tiny_folder, tiny_config(teacher__rate=rate))
    start = {name: tensor.clone() for name, tensor in trainer.teacher.average.items()}
    disturb_adapter(trainer.model)
    student = adapter_of(trainer.model)
    for n in range(1, 21):
        trainer.teacher.follow()
        for name, average in trainer.teacher.average.items():
            expected = (1 - rate) ** n * (start[name] - student[name])
            torch.testing.assert_close(average - student[name], expected, atol=1e-6, rtol=1e-4)


def test_rate_1_copies_and_rate_0_freezes(tiny_folder: Path) -> None:
    """Checklist 20: bit for bit."""
    for rate in (1.0, 0.0):
        trainer = tiny_trainer(tiny_folder, tiny_config(teacher__rate=rate))
        start = {name: tensor.clone() for name, tensor in trainer.teacher.average.items()}
        disturb_adapter(trainer.model)
        trainer.teacher.follow()
        expected = adapter_of(trainer.model) if rate else start
        assert_equal_tensors(trainer.teacher.average, expected)


def test_the_average_is_fp32_and_moves_even_if_the_student_is_bf16(tiny_folder: Path) -> None:
    """Checklist 20: in bf16 an average at rate 0.001 would not move at all."""
    trainer = tiny_trainer(tiny_folder, tiny_config())
    for parameter in trainer.model.adapter_parameters().values():
        parameter.data = torch.ones_like(parameter.data, dtype=torch.bfloat16)
    teacher = Teacher(trainer.model, TeacherConfig(weights="ema", rate=0.001))
    assert {average.dtype for average in teacher.average.values()} == {torch.float32}
    for parameter in trainer.model.adapter_parameters().values():
        parameter.data.mul_(2)
    for _ in range(300):
        teacher.follow()
    for average in teacher.average.values():
        torch.testing.assert_close(average, torch.full_like(average, 2 - 0.999**300))
    with teacher.in_place():
        used = next(iter(trainer.model.adapter_parameters().values()))
        assert used.dtype == torch.bfloat16


def test_a_fresh_adapters_teachers_are_all_the_base(tiny_folder: Path) -> None:
    """Checklist 21: identical logits, not merely close ones."""
    base = logits_of(load_tiny(tiny_folder))
    for weights in WEIGHTS:
        trainer = tiny_trainer(tiny_folder, tiny_config(teacher__weights=weights))
        assert torch.equal(logits_of(trainer.model), base)
        with trainer.teacher.in_place():
            assert torch.equal(logits_of(trainer.model), base)


def test_a_continued_adapters_base_differs(tiny_folder: Path, tmp_path: Path) -> None:
    """Checklist 21: ema and live are the student as the stage found it; base is the original."""
    before = tiny_trainer(tiny_folder, tiny_config())
    disturb_adapter(before.model)
    student, base = logits_of(before.model), logits_of(load_tiny(tiny_folder))
    stored = save_checkpoint(before, 6, tmp_path).folder
    for weights in WEIGHTS:
        trainer = tiny_trainer(tiny_folder, tiny_config(teacher__weights=weights), stored)
        assert torch.equal(logits_of(trainer.model), student)
        with trainer.teacher.in_place():
            seen = logits_of(trainer.model)
        assert torch.equal(seen, base if weights == "base" else student)
    assert not torch.allclose(student, base, atol=0.1)


@each_teacher
def test_only_following_moves_the_average(weights: str, tiny_folder: Path) -> None:
    """Checklist 22: no gradient reaches the teacher, and the optimizer does not hold it."""
    config = tiny_config(teacher__weights=weights, teacher__rate=0.25)
    trainer = tiny_trainer(tiny_folder, config)
    disturb_adapter(trainer.model)
    before, student = trainer.teacher.average, adapter_of(trainer.model)
    start = {name: tensor.clone() for name, tensor in before.items()}
    training_step(trainer, demonstrations(4), 0)
    moved = adapter_of(trainer.model)
    assert all(not torch.equal(moved[name], student[name]) for name in moved)
    expected = {name: tensor.lerp(moved[name], 0.25) for name, tensor in start.items()}
    assert_equal_tensors(trainer.teacher.average, expected)
    assert bool(expected) == (weights == "ema")
    held = {p.data_ptr() for group in trainer.optimizer.param_groups for p in group["params"]}
    assert held == {p.data_ptr() for p in trainer.model.adapter_parameters().values()}
    for average in trainer.teacher.average.values():
        assert not average.requires_grad
        assert average.data_ptr() not in held


@each_teacher
def test_the_student_is_back_after_the_teachers_turn(weights: str, tiny_folder: Path) -> None:
    """Checklist 23, without an exception: parameters are the same objects with the same bits."""
    trainer = tiny_trainer(tiny_folder, tiny_config(teacher__weights=weights))
    disturb_adapter(trainer.model)
    student, logits = adapter_of(trainer.model), logits_of(trainer.model)
    objects = list(map(id, trainer.model.adapter_parameters().values()))
    with trainer.teacher.in_place():
        seen = logits_of(trainer.model)
        assert not torch.is_grad_enabled()
        assert not trainer.model.network.training
    assert torch.equal(seen, logits) == (weights == "live")
    assert torch.equal(logits_of(trainer.model), logits)
    assert_equal_tensors(adapter_of(trainer.model), student)
    assert list(map(id, trainer.model.adapter_parameters().values())) == objects
    assert torch.is_grad_enabled()


@each_teacher
def test_the_student_is_back_after_an_exception(weights: str, tiny_folder: Path) -> None:
    """Checklist 23: and it can still be trained."""
    trainer = tiny_trainer(tiny_folder, tiny_config(teacher__weights=weights))
    disturb_adapter(trainer.model)
    student, logits = adapter_of(trainer.model), logits_of(trainer.model)
    with pytest.raises(RuntimeError, match="out of memory"), trainer.teacher.in_place():
        raise RuntimeError("out of memory")
    assert torch.equal(logits_of(trainer.model), logits)
    training_step(trainer, demonstrations(4), 0)
    moved = adapter_of(trainer.model)
    assert all(not torch.equal(moved[name], student[name]) for name in student)


def test_a_stored_average_comes_back_bit_for_bit(tiny_folder: Path) -> None:
    first, second = (tiny_trainer(tiny_folder, tiny_config()) for _ in range(2))
    disturb_adapter(first.model)
    first.teacher.follow()
    second.teacher.load(first.teacher.average)
    assert_equal_tensors(first.teacher.average, second.teacher.average)
    first.teacher.follow()
    assert not torch.equal(*(next(iter(t.teacher.average.values())) for t in (first, second)))


def test_the_average_may_follow_every_few_steps(tiny_folder: Path) -> None:
    trainer = tiny_trainer(tiny_folder, tiny_config(teacher__rate=1.0, teacher__every=3))
    start = {name: tensor.clone() for name, tensor in trainer.teacher.average.items()}
    for step in range(3):
        training_step(trainer, demonstrations(4), step)
        expected = adapter_of(trainer.model) if step == 2 else start
        assert_equal_tensors(trainer.teacher.average, expected)


def test_another_runs_weights_teach_and_never_move(tiny_folder: Path, tmp_path: Path) -> None:
    """Checklist 22, for a teacher that is another run's checkpoint."""
    other = tiny_trainer(tiny_folder, tiny_config("sft"))
    disturb_adapter(other.model)
    folder = save_checkpoint(other, 6, tmp_path).folder
    config = tiny_config(teacher__weights="run", teacher__run="abc")
    trainer = make_trainer(load_tiny(tiny_folder), config, None, teach_from=folder)
    assert torch.equal(logits_of(trainer.model), logits_of(load_tiny(tiny_folder)))
    training_step(trainer, demonstrations(4), 0)
    assert_equal_tensors(trainer.teacher.average, adapter_of(other.model))
    with trainer.teacher.in_place():
        assert torch.equal(logits_of(trainer.model), logits_of(other.model))
    with pytest.raises(Fault, match="teacher's run was not found"):
        tiny_trainer(tiny_folder, config)
