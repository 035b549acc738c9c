"""All weights trained through the same loop: base, average, checkpoints and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from backend.config import AdapterConfig, TeacherConfig
from backend.errors import UserError
from backend.models.all_weights import WEIGHTS
from backend.models.language_model import LanguageModel
from backend.training.checkpoints import load_checkpoint, save_checkpoint
from backend.training.step import training_step
from backend.training.teacher import Teacher
from backend.training.trainer import Trainer
from tests.tiny_model import build_model, load_tiny
from tests.training.tiny_runs import (
    adapter_of,
    assert_equal_tensors,
    demonstrations,
    disturb_adapter,
    logits_of,
    tiny_config,
    tiny_trainer,
)

TEACHERS = ("base", "live", "ema")
RATE = 1e-3


def full_trainer(
    folder: Path, start_from: Path | None = None, dtype: torch.dtype = torch.float32, **changes: str
) -> Trainer:
    config = tiny_config(adapter__full=True, optimizer__learning_rate=RATE, **changes)
    return tiny_trainer(folder, config, start_from, dtype)


def trained(folder: Path, steps: int = 3, **changes: str) -> Trainer:
    trainer = full_trainer(folder, **changes)
    for step in range(steps):
        training_step(trainer, demonstrations(4), step)
    return trainer


def all_weights(model: LanguageModel) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in model.network.named_parameters()}


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("method", ["sft", "sdft"])
def test_every_weight_is_trained_and_the_loss_falls(
    method: str, family: str, tmp_path: Path
) -> None:
    config = tiny_config(
        method, adapter__full=True, optimizer__learning_rate=RATE,
        rollout__source="demonstration" if method == "sft" else {"demonstration": 1.0,
                                                                 "student": "rest"},
    )  # fmt: skip
    trainer = tiny_trainer(build_model(tmp_path, family=family), config)
    before = all_weights(trainer.model)
    assert adapter_of(trainer.model).keys() == before.keys()
    losses = [training_step(trainer, demonstrations(4), step).loss for step in range(8)]
    after = all_weights(trainer.model)
    assert [name for name in after if torch.equal(after[name], before[name])] == []
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("weights", TEACHERS)
def test_at_step_0_every_teacher_is_the_base(weights: str, tiny_folder: Path) -> None:
    base = logits_of(load_tiny(tiny_folder))
    trainer = full_trainer(tiny_folder, teacher__weights=weights)
    assert torch.equal(logits_of(trainer.model), base)
    with trainer.teacher.in_place():
        assert torch.equal(logits_of(trainer.model), base)


@pytest.mark.parametrize("weights", TEACHERS)
def test_after_training_the_base_is_the_original_and_the_student_comes_back(
    weights: str, tiny_folder: Path
) -> None:
    base = logits_of(load_tiny(tiny_folder))
    trainer = trained(tiny_folder, teacher__weights=weights)
    student, logits = all_weights(trainer.model), logits_of(trainer.model)
    objects = list(map(id, trainer.model.adapter_parameters().values()))
    assert not torch.allclose(logits, base, atol=0.05)
    with trainer.teacher.in_place():
        seen = logits_of(trainer.model)
    assert torch.equal(seen, {"base": base, "live": logits}.get(weights, seen))
    with trainer.model.base_weights():
        assert torch.equal(logits_of(trainer.model), base)
    with pytest.raises(RuntimeError, match="out of memory"), trainer.model.base_weights():
        raise RuntimeError("out of memory")
    assert torch.equal(logits_of(trainer.model), logits)
    assert_equal_tensors(all_weights(trainer.model), student)
    assert list(map(id, trainer.model.adapter_parameters().values())) == objects


def test_the_average_is_of_all_weights(tiny_folder: Path) -> None:
    trainer = full_trainer(tiny_folder, teacher__weights="ema")
    start = {name: tensor.clone() for name, tensor in trainer.teacher.average.items()}
    training_step(trainer, demonstrations(4), 0)
    moved = adapter_of(trainer.model)
    rate = trainer.config.teacher.rate
    expected = {name: tensor.lerp(moved[name], rate) for name, tensor in start.items()}
    assert_equal_tensors(trainer.teacher.average, expected)


def test_in_half_precision_weights_and_average_are_fp32_and_the_base_is_exact(
    tiny_folder: Path,
) -> None:
    """An update of 1e-5 is below bf16's resolution of most weights."""
    base = logits_of(load_tiny(tiny_folder, torch.bfloat16))
    trainer = full_trainer(tiny_folder, dtype=torch.bfloat16, teacher__weights="base")
    average = Teacher(trainer.model, TeacherConfig(weights="ema")).average
    assert {t.dtype for t in average.values()} == {torch.float32}
    assert {p.dtype for p in trainer.model.adapter_parameters().values()} == {torch.float32}
    for group in trainer.optimizer.param_groups:
        group["lr"] = 1e-5
    trainer.scheduler.base_lrs = [1e-5]
    before = all_weights(trainer.model)
    training_step(trainer, demonstrations(4), 0)
    after = all_weights(trainer.model)
    assert [name for name in after if torch.equal(after[name], before[name])] == []
    with trainer.model.base_weights():
        assert torch.equal(logits_of(trainer.model), base)
    assert not torch.equal(logits_of(trainer.model), base)


def test_a_checkpoint_holds_the_model_as_transformers_reads_it(
    tiny_folder: Path, tmp_path: Path
) -> None:
    trainer = trained(tiny_folder)
    saved = save_checkpoint(trainer, 3, tmp_path)
    assert sorted(path.name for path in saved.folder.iterdir()) == [
        "manifest.json", WEIGHTS, "optimizer.safetensors", "state.json", "teacher.safetensors",
    ]  # fmt: skip
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "config.json").write_text((tiny_folder / "config.json").read_text())
    (folder / WEIGHTS).write_bytes((saved.folder / WEIGHTS).read_bytes())
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = torch.tensor([trainer.model.tokenizer.encode("the light is on you")])
    with torch.no_grad():
        torch.testing.assert_close(plain(input_ids=ids).logits[0], logits_of(trainer.model))


def test_everything_comes_back_bit_for_bit(tiny_folder: Path, tmp_path: Path) -> None:
    first = trained(tiny_folder)
    saved = save_checkpoint(first, 3, tmp_path)
    other = full_trainer(tiny_folder)
    disturb_adapter(other.model)
    assert load_checkpoint(other, saved.folder) == 3
    results = [training_step(each, demonstrations(4), 3) for each in (first, other)]
    assert results[0].loss == results[1].loss
    assert_equal_tensors(all_weights(other.model), all_weights(first.model))
    assert_equal_tensors(other.teacher.average, first.teacher.average)


@pytest.mark.parametrize("weights", TEACHERS)
def test_a_continued_runs_base_is_the_original(
    weights: str, tiny_folder: Path, tmp_path: Path
) -> None:
    before = trained(tiny_folder)
    student, base = logits_of(before.model), logits_of(load_tiny(tiny_folder))
    stored = save_checkpoint(before, 3, tmp_path).folder
    after = full_trainer(tiny_folder, stored, teacher__weights=weights)
    assert torch.equal(logits_of(after.model), student)
    with after.teacher.in_place():
        assert torch.equal(logits_of(after.model), base if weights == "base" else student)


def test_an_adapter_and_all_weights_do_not_continue_each_other(
    tiny_folder: Path, tmp_path: Path
) -> None:
    full = save_checkpoint(full_trainer(tiny_folder), 1, tmp_path / "full").folder
    adapter = save_checkpoint(tiny_trainer(tiny_folder, tiny_config()), 1, tmp_path / "a").folder
    with pytest.raises(UserError, match=r"holds an adapter, not all weights.*leave adapter\.full"):
        full_trainer(tiny_folder, adapter)
    with pytest.raises(UserError, match=r"no adapter, but all weights.*set adapter\.full to true"):
        tiny_trainer(tiny_folder, tiny_config(), full)


def test_another_models_weights_are_refused(tiny_folder: Path, tmp_path: Path) -> None:
    other = build_model(tmp_path / "gpt2", family="gpt2")
    stored = save_checkpoint(full_trainer(other), 1, tmp_path / "full").folder
    with pytest.raises(UserError, match="other names or shapes than this run's model"):
        full_trainer(tiny_folder, stored)


def test_the_rest_of_the_adapters_settings_say_nothing(tiny_folder: Path) -> None:
    model = load_tiny(tiny_folder)
    model.add_adapter(AdapterConfig(full=True, rank=3, targets=("no_such_layer",)), seed=0)
    assert not model.has_adapter
    assert model.adapter_parameters().keys() == all_weights(model).keys()
