"""The adapter merged into what reads: the same answers, and nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from backend.config import AdapterConfig
from backend.evaluation.answers import answer
from backend.models.language_model import LanguageModel
from backend.training.generation import Sampling, generate
from backend.training.step import training_step
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


def adapted(folder: Path, dtype: torch.dtype = torch.float32, scale: float = 0.2) -> LanguageModel:
    model = load_tiny(folder, dtype)
    model.add_adapter(AdapterConfig(rank=4), seed=0)
    disturb_adapter(model, scale=scale)
    return model


def weights_of(model: LanguageModel) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in model.network.named_parameters()}


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_merged_logits_are_the_adapters_and_the_base_comes_back(
    family: str, tmp_path: Path
) -> None:
    model = adapted(build_model(tmp_path, family=family))
    before, logits = weights_of(model), logits_of(model)
    with model.merged():
        torch.testing.assert_close(logits_of(model), logits, atol=2e-5, rtol=1e-4)
    assert_equal_tensors(weights_of(model), before)
    assert torch.equal(logits_of(model), logits)


def test_the_base_comes_back_after_an_exception(tiny_folder: Path) -> None:
    model = adapted(tiny_folder)
    before, logits = weights_of(model), logits_of(model)
    with pytest.raises(RuntimeError, match="out of memory"), model.merged():
        raise RuntimeError("out of memory")
    assert_equal_tensors(weights_of(model), before)
    assert torch.equal(logits_of(model), logits)


def test_an_adapter_that_is_off_is_not_merged(tiny_folder: Path) -> None:
    model, plain = adapted(tiny_folder), load_tiny(tiny_folder)
    base = logits_of(plain)
    with plain.merged():
        read = logits_of(plain)
    with model.base_weights(), model.merged():
        assert torch.equal(logits_of(model), read)
    torch.testing.assert_close(read, base, atol=2e-5, rtol=1e-4)


def test_the_teachers_average_is_what_is_merged_in_its_turn(tiny_folder: Path) -> None:
    trainer = tiny_trainer(tiny_folder, tiny_config())
    disturb_adapter(trainer.model)
    with trainer.teacher.in_place():
        logits = logits_of(trainer.model)
        with trainer.model.merged():
            torch.testing.assert_close(logits_of(trainer.model), logits, atol=2e-5, rtol=1e-4)
    assert not torch.allclose(logits_of(trainer.model), logits, atol=0.05)


def test_small_adapters_are_not_lost_in_half_precision(tiny_folder: Path) -> None:
    """A change below bf16's resolution of the base weights is still what was trained."""
    model = adapted(tiny_folder, torch.bfloat16, scale=0.0)
    base = logits_of(model)
    with torch.no_grad():
        for name, parameter in model.adapter_parameters().items():
            parameter.fill_(0.004 if "lora_B" in name else 0.002)
    assert not torch.equal(logits_of(model), base)
    logits = logits_of(model)
    with model.merged():
        assert torch.equal(logits_of(model), logits)


def test_answers_are_those_of_the_adapter_and_training_goes_on(tiny_folder: Path) -> None:
    trainer = tiny_trainer(tiny_folder, tiny_config())
    disturb_adapter(trainer.model)
    prompts = [trainer.model.tokenizer.encode(text) for text in ("the light", "a question", "x")]
    expected = [
        trainer.model.tokenizer.decode(ids)
        for ids in generate(trainer.model, prompts, Sampling(12))
    ]
    assert answer(trainer.model, prompts, 12) == expected
    student = adapter_of(trainer.model)
    training_step(trainer, demonstrations(4), 0)
    moved = adapter_of(trainer.model)
    assert all(not torch.equal(moved[name], student[name]) for name in student)
