"""By which weights the teacher reads: merged ones where that pays and cannot be told apart."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from backend.models.language_model import LanguageModel
from backend.training.step import StepReport
from tests.tiny_model import build_model
from tests.training.tiny_runs import (
    EQUAL_CONTEXT,
    assert_close_tensors,
    demonstrations,
    disturb_adapter,
    gradients_of_step,
    tiny_config,
    tiny_trainer,
)


def step(
    folder: Path, choices: dict[str, object], least: int, monkeypatch: pytest.MonkeyPatch
) -> tuple[StepReport, dict[str, torch.Tensor], list[bool]]:
    """In fp64; and of each time that weights are merged, whether with the head."""
    monkeypatch.setattr("backend.training.sides._MERGED_TOKENS", least)
    trainer = tiny_trainer(folder, tiny_config(**choices))
    disturb_adapter(trainer.model, seed=1)
    for tensor in trainer.teacher.average.values():
        tensor.add_(0.05)
    trainer.model.network.double()
    merged, found = LanguageModel.merged, []

    def counted(model: LanguageModel, *, head: bool = True) -> object:
        found.append(head)
        return merged(model, head=head)

    monkeypatch.setattr(LanguageModel, "merged", counted)
    rows = demonstrations(4)
    if "teacher__template" in choices:
        rows = [row.model_copy(update={"demonstration": ""}) for row in rows]
    report, gradients = gradients_of_step(trainer, rows)
    monkeypatch.setattr(LanguageModel, "merged", merged)
    return report, gradients, found


@pytest.mark.parametrize("family", ["llama", "qwen3"])
@pytest.mark.parametrize("weights", ["base", "live", "ema"])
@pytest.mark.parametrize("micro_batch", [0, 2])
def test_merged_weights_give_the_same_gradients(
    weights: str, family: str, micro_batch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = build_model(tmp_path, family=family)
    choices = {"teacher__weights": weights, "micro_batch_size": micro_batch}
    plain, expected, never = step(folder, choices, 10**9, monkeypatch)
    report, gradients, once = step(folder, choices, 1, monkeypatch)
    # The first time is when answers are written.
    assert (never, once) == ([True], [True, False])
    assert report.rollouts == plain.rollouts
    assert report.loss == pytest.approx(plain.loss, rel=1e-6)
    assert_close_tensors(gradients, expected, tolerance=3e-6)


@pytest.mark.parametrize(
    ("choices", "family"), [(EQUAL_CONTEXT, "llama"), ({}, "gpt2"), ({"method": "sft"}, "llama")]
)
def test_they_are_not_merged_where_rounding_would_show_or_nothing_reads_them(
    choices: dict[str, object], family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = build_model(tmp_path, family=family)
    _, _, merges = step(folder, choices, 1, monkeypatch)
    assert False not in merges
