"""The merged model: a plain transformers folder that gives the student's logits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from backend.atomic import folder_sha256
from backend.export.adapter import AdapterSource, write_adapter
from backend.export.merged import write_merged
from backend.text.contexts import student_messages
from backend.training.checkpoints import load_adapter, save_checkpoint
from backend.training.step import training_step
from backend.training.trainer import Trainer
from tests.export.tiny_checkpoint import TEXT
from tests.tiny_model import EOS_IDS, build_model, load_tiny
from tests.training.tiny_runs import demonstration, demonstrations, logits_of, tiny_config
from tests.training.tiny_runs import tiny_trainer as make_trainer

FULL = {"adapter__full": True, "optimizer__learning_rate": 1e-3}


DORA = {"adapter__dora": True, "adapter__rslora": True}
KINDS: dict[str, dict[str, Any]] = {"adapter": {}, "full": FULL, "dora": DORA}


def trained(base: Path, kind: str = "adapter") -> Trainer:
    trainer = make_trainer(base, tiny_config(model=str(base), **KINDS[kind]))
    for step in range(3):
        training_step(trainer, demonstrations(4), step)
    return trainer


def plain_logits(folder: Path) -> Tensor:
    """By transformers alone."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval()
    inputs = AutoTokenizer.from_pretrained(folder)(
        TEXT, add_special_tokens=False, return_tensors="pt"
    )
    with torch.no_grad():
        logits_LV: Tensor = model(**inputs).logits[0]
    return logits_LV


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_gives_the_students_logits_without_peft(kind: str, family: str, tmp_path: Path) -> None:
    base = build_model(tmp_path / "base", family=family)
    trainer = trained(base, kind)
    student, original = logits_of(trainer.model, TEXT), logits_of(load_tiny(base), TEXT)
    written = write_merged(trainer.model, "a card", tmp_path / "out" / "merged")
    torch.testing.assert_close(plain_logits(written.path), student, atol=2e-5, rtol=1e-4)
    assert not torch.allclose(student, original, atol=0.05)
    assert written.sha256 == folder_sha256(written.path)


def test_it_is_a_base_model_for_the_lab(tiny_folder: Path, tmp_path: Path) -> None:
    """Chat template, end tokens and context are the base's."""
    trainer = trained(tiny_folder)
    student = logits_of(trainer.model, TEXT)
    folder = write_merged(trainer.model, "a card", tmp_path / "merged").path
    model = load_tiny(folder)
    torch.testing.assert_close(logits_of(model, TEXT), student, atol=2e-5, rtol=1e-4)
    messages = student_messages(demonstration(1))
    assert model.tokenizer.prompt_ids(messages) == trainer.model.tokenizer.prompt_ids(messages)
    assert model.tokenizer.eos_ids == frozenset(EOS_IDS)
    assert model.context_length == trainer.model.context_length


def test_no_file_names_a_place_and_the_card_is_there(tiny_folder: Path, tmp_path: Path) -> None:
    folder = write_merged(trained(tiny_folder).model, "a card", tmp_path / "m").path
    assert (folder / "README.md").read_text("utf-8") == "a card"
    for path in folder.iterdir():
        for place in (tiny_folder, tiny_folder.parent, Path.home(), tmp_path):
            assert str(place).encode() not in path.read_bytes(), path.name
    assert json.loads((folder / "config.json").read_text())["dtype"] == "float32"


def test_a_later_export_takes_the_place(tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "merged").mkdir()
    (tmp_path / "merged" / "old.txt").write_text("old")
    write_merged(trained(tiny_folder).model, "a card", tmp_path / "merged")
    assert not (tmp_path / "merged" / "old.txt").exists()


@pytest.mark.parametrize("family", ["llama", "gpt2", "mixtral"])
def test_a_run_of_all_weights_is_taken_home_as_a_model_without_torch(
    family: str, tmp_path: Path
) -> None:
    """The folder that others make of an adapter is here a whole model, from the same files."""
    base = build_model(tmp_path / "base", family=family)
    trainer = trained(base, "full")
    saved = save_checkpoint(trainer, 3, tmp_path)
    source = AdapterSource(saved.folder, saved.sha256, base, f"tiny-{family}")
    folder = write_adapter(source, "a card", tmp_path / "model").path
    names = {path.name for path in folder.iterdir()}
    assert {"README.md", "config.json", "model.safetensors", "tokenizer.json"} <= names
    assert not [name for name in names if name.startswith("adapter")]
    torch.testing.assert_close(plain_logits(folder), logits_of(trainer.model, TEXT))
    assert load_tiny(folder).tokenizer.eos_ids == trainer.model.tokenizer.eos_ids
    packed = [write_adapter(source, "a card", tmp_path / name) for name in ("a.zip", "b.zip")]
    assert packed[0].sha256 == packed[1].sha256
    again = make_trainer(base, trainer.config)
    load_adapter(again.model, folder)
    assert torch.equal(logits_of(again.model, TEXT), logits_of(trainer.model, TEXT))
