"""rsLoRA and DoRA: what they compute, what their average and file hold, and what fits to what."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from backend.errors import ConfigError, UserError
from backend.models.four_bit import check_four_bit
from backend.models.hardware import HardwareProfile
from backend.training.checkpoints import load_adapter, save_adapter
from backend.training.step import training_step
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

RANK, ALPHA = 4, 6.0
KINDS = {"rslora": ("rslora",), "dora": ("dora",), "both": ("rslora", "dora")}
each_kind = pytest.mark.parametrize("kind", KINDS)


def trainer_of(folder: Path, kind: str = "plain", **changes: Any) -> Trainer:
    chosen = {f"adapter__{name}": True for name in KINDS.get(kind, ())}
    settings = {"adapter__rank": RANK, "adapter__alpha": ALPHA, **chosen, **changes}
    return tiny_trainer(folder, tiny_config(teacher__rate=0.3, **settings))


def test_rslora_divides_by_the_root_of_the_rank(tiny_folder: Path) -> None:
    ours = trainer_of(tiny_folder, "rslora")
    plain = trainer_of(tiny_folder, adapter__alpha=ALPHA * math.sqrt(RANK))
    for each in (ours, plain):
        disturb_adapter(each.model)
    torch.testing.assert_close(logits_of(ours.model), logits_of(plain.model))


@pytest.mark.parametrize("kind", ["dora", "both"])
def test_dora_gives_every_output_its_own_magnitude(kind: str, tiny_folder: Path) -> None:
    """W' = m (W + sBA) / |W + sBA|, an output at a time (arXiv 2402.09353, formula 5)."""
    trainer = trainer_of(tiny_folder, kind)
    disturb_adapter(trainer.model, scale=0.5)
    base = load_tiny(tiny_folder).network.state_dict()
    parts = {name.replace("base_model.model.", ""): t.double() for name, t in
             adapter_of(trainer.model).items()}  # fmt: skip
    scale = ALPHA / (math.sqrt(RANK) if kind == "both" else RANK)
    merged = trainer.model.trained.plain().state_dict()
    layers = [n.removesuffix(".lora_A.default.weight") for n in parts if ".lora_A." in n]
    assert len(layers) == 14
    for layer in layers:
        a, b, m = (parts[f"{layer}.lora_{part}.default.weight"]
                   for part in ("A", "B", "magnitude_vector"))  # fmt: skip
        weight = base[f"{layer}.weight"].double()
        direction = weight + scale * b @ a
        expected = m[:, None] * direction / direction.norm(dim=1, keepdim=True)
        torch.testing.assert_close(
            merged[f"{layer}.weight"].double(), expected, atol=1e-5, rtol=1e-4
        )
        assert not torch.allclose(expected, weight, atol=0.05)


@each_kind
def test_a_fresh_adapter_is_the_base(kind: str, tiny_folder: Path) -> None:
    """Under DoRA but for rounding; its base teacher is the base bit for bit."""
    base = logits_of(load_tiny(tiny_folder))
    trainer = trainer_of(tiny_folder, kind, teacher__weights="base")
    torch.testing.assert_close(logits_of(trainer.model), base, atol=1e-5, rtol=1e-4)
    disturb_adapter(trainer.model)
    assert not torch.allclose(logits_of(trainer.model), base, atol=0.05)
    with trainer.teacher.in_place():
        assert torch.equal(logits_of(trainer.model), base)


@each_kind
def test_the_average_follows_all_that_is_trained(kind: str, tiny_folder: Path) -> None:
    trainer = trainer_of(tiny_folder, kind)
    start = {name: tensor.clone() for name, tensor in trainer.teacher.average.items()}
    disturb_adapter(trainer.model)
    training_step(trainer, demonstrations(4), 0)
    student = adapter_of(trainer.model)
    assert trainer.teacher.average.keys() == student.keys()
    assert any("magnitude" in name for name in student) == (kind != "rslora")
    for name, average in trainer.teacher.average.items():
        assert not torch.equal(student[name], start[name]), name
        torch.testing.assert_close(average, start[name] + 0.3 * (student[name] - start[name]))
    with trainer.teacher.in_place():
        averaged = logits_of(trainer.model)
    assert not torch.allclose(averaged, logits_of(trainer.model), atol=1e-4)


@each_kind
def test_the_base_comes_back_after_folding(kind: str, tiny_folder: Path) -> None:
    model = trainer_of(tiny_folder, kind).model
    disturb_adapter(model)
    before = {name: p.detach().clone() for name, p in model.network.named_parameters()}
    logits = logits_of(model)
    with model.merged():
        torch.testing.assert_close(logits_of(model), logits, atol=2e-5, rtol=1e-4)
    assert_equal_tensors({n: p.detach() for n, p in model.network.named_parameters()}, before)
    assert torch.equal(logits_of(model), logits)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@each_kind
def test_the_file_is_what_peft_reads_and_the_lab_continues(
    kind: str, family: str, tmp_path: Path
) -> None:
    base = build_model(tmp_path / "base", family=family)
    trainer = trainer_of(base, kind)
    for step in range(2):
        training_step(trainer, demonstrations(4), step)
    save_adapter(trainer.model, tmp_path)
    student = logits_of(trainer.model)

    plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    adapted = PeftModel.from_pretrained(plain, tmp_path).eval()
    ids = torch.tensor([trainer.model.tokenizer.encode("the light is on you")])
    with torch.no_grad():
        torch.testing.assert_close(adapted(input_ids=ids).logits[0], student, atol=1e-5, rtol=1e-5)

    other = trainer_of(base, kind)
    load_adapter(other.model, tmp_path)
    assert_equal_tensors(adapter_of(other.model), adapter_of(trainer.model))
    assert torch.equal(logits_of(other.model), student)


@pytest.mark.parametrize(
    ("stored", "ours", "told"),
    [
        ("rslora", "plain", "trained with adapter.rslora true, and this run has false"),
        ("plain", "dora", "trained with adapter.dora false, and this run has true"),
        ("dora", "both", "trained with adapter.rslora false, and this run has true"),
    ],
)
def test_an_adapter_of_another_kind_cannot_be_continued(
    stored: str, ours: str, told: str, tiny_folder: Path, tmp_path: Path
) -> None:
    save_adapter(trainer_of(tiny_folder, stored).model, tmp_path)
    with pytest.raises(UserError, match=told):
        load_adapter(trainer_of(tiny_folder, ours).model, tmp_path)


@pytest.mark.parametrize("name", ["rslora", "dora", "four_bit"])
def test_all_weights_have_no_kind_of_adapter(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"adapter.full .* adapter.{name} is true"):
        tiny_config(adapter__full=True, **{f"adapter__{name}": True})


def test_a_base_in_four_bits_needs_a_gpu_and_its_package() -> None:
    cpu = HardwareProfile("2 CPU cores", False, 100.0, 20.0, 8192, 4096)
    with pytest.raises(
        ConfigError, match=r"needs a GPU, and this machine \(2 CPU cores\) has none"
    ):
        check_four_bit(cpu)
    gpu = HardwareProfile("NVIDIA L4", True, 121_000.0, 300.0, 24_000, 23_000)
    with pytest.raises(ConfigError, match=r"needs the package no_package, .*sdlab\[4bit\]"):
        check_four_bit(gpu, "no_package")
