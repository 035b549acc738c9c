"""The adapter as it lies in a checkpoint, read by plain PEFT."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from backend.models.lora import ADAPTER
from backend.training.checkpoints import load_adapter, save_adapter
from backend.training.step import training_step
from backend.training.trainer import Trainer
from tests.tiny_model import build_model
from tests.training.tiny_runs import (
    adapter_of,
    assert_equal_tensors,
    demonstrations,
    logits_of,
    tiny_config,
    tiny_trainer,
)

TEXT = "the light is on you"


@pytest.fixture(params=["llama", "gpt2"])
def trainer(request: pytest.FixtureRequest, tmp_path: Path) -> Trainer:
    """A run in which student, average and base have grown apart."""
    folder = build_model(tmp_path / "base", family=request.param)
    trainer = tiny_trainer(folder, tiny_config(teacher__rate=0.3))
    for step in range(4):
        training_step(trainer, demonstrations(4), step)
    return trainer


def plain_logits(network: torch.nn.Module, folder: Path) -> Tensor:
    ids = AutoTokenizer.from_pretrained(folder)(TEXT, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        logits: Tensor = network(input_ids=ids).logits[0]
    return logits


def test_the_adapter_on_the_base_is_the_student(trainer: Trainer, tmp_path: Path) -> None:
    """Checklist 24: by transformers and PEFT alone."""
    save_adapter(trainer.model, tmp_path)
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype=torch.float32)
    plain = plain_logits(base, tmp_path / "base")
    adapted = plain_logits(PeftModel.from_pretrained(base, tmp_path).eval(), tmp_path / "base")
    torch.testing.assert_close(adapted, logits_of(trainer.model, TEXT), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(adapted, plain, atol=0.05)
    with trainer.teacher.in_place():
        assert not torch.allclose(adapted, logits_of(trainer.model, TEXT), atol=0.01)


def test_the_file_holds_the_student_and_no_teacher(trainer: Trainer, tmp_path: Path) -> None:
    """Checklist 24: B is not zero, and every tensor is the student's."""
    save_adapter(trainer.model, tmp_path)
    stored = load_file(tmp_path / ADAPTER)
    named = {name.replace(".default.", "."): t for name, t in adapter_of(trainer.model).items()}
    assert_equal_tensors(stored, named)
    assert all(tensor.any() for name, tensor in stored.items() if "lora_B" in name)
    average = {name.replace(".default.", "."): t for name, t in trainer.teacher.average.items()}
    assert all(not torch.equal(stored[name], average[name]) for name in stored)


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    """peft keeps the names of its layers in a set, whose order is each process's own."""
    base = build_model(tmp_path / "base")
    code = (
        "import sys; from pathlib import Path; from tests.training.tiny_runs import *; "
        "from backend.training.checkpoints import save_adapter; "
        "save_adapter(tiny_trainer(Path(sys.argv[1]), tiny_config()).model, Path(sys.argv[2]))"
    )
    written = []
    for seed in ("1", "2"):
        (tmp_path / seed).mkdir()
        subprocess.run(
            [sys.executable, "-c", code, str(base), str(tmp_path / seed)],
            cwd=Path(__file__).parents[2], env={**os.environ, "PYTHONHASHSEED": seed}, check=True,
        )  # fmt: skip
        written.append({path.name: path.read_bytes() for path in (tmp_path / seed).iterdir()})
    assert written[0] == written[1]


def test_an_adapter_that_peft_wrote_can_be_continued(trainer: Trainer, tmp_path: Path) -> None:
    trainer.model.network.save_pretrained(tmp_path / "peft", save_embedding_layers=False)
    other = tiny_trainer(tmp_path / "base", trainer.config, start_from=tmp_path / "peft")
    assert_equal_tensors(adapter_of(other.model), adapter_of(trainer.model))
    load_adapter(other.model, tmp_path / "peft")
    assert_equal_tensors(
        get_peft_model_state_dict(other.model.network, save_embedding_layers=False),
        load_file(tmp_path / "peft" / ADAPTER),
    )
