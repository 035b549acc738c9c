"""What is logged of every step, and phrases that give a teacher's context away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from backend.training.loop import train
from backend.training.observations import ARTEFACT_PHRASES, observe
from backend.training.rollouts import Rollouts
from backend.training.row_checks import Rows
from backend.training.step import training_step
from tests.recording import ListRecorder
from tests.training.tiny_runs import (
    demonstrations,
    disturb_adapter,
    gradients_of_step,
    tiny_config,
    tiny_trainer,
)


def test_every_step_logs_what_can_go_wrong(tiny_folder: Path, tmp_path: Path) -> None:
    """Checklist 26: KL to base, entropy, length, distinct-n, clipped fraction, artefacts."""
    config = tiny_config(steps=4, traces__every=2, traces__watched=2)
    recorder = ListRecorder()
    rows = Rows(demonstrations(8), demonstrations(2, first=100))
    train(tiny_trainer(tiny_folder, config), rows, recorder, tmp_path, lambda done: None)
    every_step = {"loss", "grad_norm", "learning_rate", "entropy", "completion_tokens",
                  "counted_fraction", "clipped_fraction", "student_share", "artefact_rate",
                  "distinct_2", "rollout_kl_to_base", "step_s"}  # fmt: skip
    for step, values in recorder.values.items():
        assert values.keys() == every_step | ({"kl_to_base"} if step % 2 == 0 else set())
    assert recorder.values[4]["kl_to_base"] > 0


def test_values_are_those_of_the_batch(tiny_folder: Path) -> None:
    config = tiny_config(token_weights__skip_first=1)
    trainer = tiny_trainer(tiny_folder, config)
    disturb_adapter(trainer.model)
    report, _ = gradients_of_step(trainer, demonstrations(4))
    values = observe(trainer, report)
    completions = report.rollouts.completions
    entropies = []
    for prompt, completion in zip(report.prompts.student, completions, strict=True):
        with torch.no_grad():
            logits = trainer.model.network(input_ids=torch.tensor([prompt + completion])).logits
        seen = logits[0, len(prompt) - 1 : -1]
        entropies.append(torch.distributions.Categorical(logits=seen).entropy())
    total = sum(map(len, completions))
    ends = trainer.model.tokenizer.eos_ids
    assert values["entropy"] == pytest.approx(float(torch.cat(entropies).mean()), rel=1e-4)
    assert values["completion_tokens"] == total / 4
    assert values["counted_fraction"] == pytest.approx((total - 4) / total)
    assert values["clipped_fraction"] == sum(c[-1] not in ends for c in completions) / 4
    assert values["student_share"] == 1.0
    assert values["loss"] == report.loss


@pytest.mark.parametrize(("rows", "micro"), [(1, 0), (2, 0), (2, 1), (9, 3)])
def test_the_kl_to_the_base_is_that_of_the_steps_first_rollouts(
    rows: int, micro: int, tiny_folder: Path
) -> None:
    config = tiny_config(evaluate__kl_rows=rows, micro_batch_size=micro)
    trainer = tiny_trainer(tiny_folder, config)
    disturb_adapter(trainer.model)
    report, _ = gradients_of_step(trainer, demonstrations(4))
    network, kls = trainer.model.network, []
    shown = zip(report.prompts.student[:rows], report.rollouts.completions[:rows], strict=True)
    for prompt, completion in shown:
        ids = torch.tensor([prompt + completion])
        with torch.no_grad():
            sides = [network(input_ids=ids).logits[0, len(prompt) - 1 : -1]]
            with network.disable_adapter():
                sides.append(network(input_ids=ids).logits[0, len(prompt) - 1 : -1])
        student, base = (torch.distributions.Categorical(logits=s.double()) for s in sides)
        kls.append(torch.distributions.kl_divergence(student, base))
    found = observe(trainer, report)["rollout_kl_to_base"]
    assert found == pytest.approx(float(torch.cat(kls).mean()), rel=1e-4)
    assert found > 0.01


def test_the_kl_to_the_base_is_left_out_where_it_is_not_wanted(tiny_folder: Path) -> None:
    trainer = tiny_trainer(tiny_folder, tiny_config(evaluate__kl_rows=0))
    report, _ = gradients_of_step(trainer, demonstrations(4))
    assert "rollout_kl_to_base" not in observe(trainer, report)


@pytest.mark.parametrize(
    "text",
    ["Based on the text, it is on.", "as shown in the example: on", "on, BASED ON THE EXAMPLE"],
)
def test_phrases_that_give_the_context_away_are_found(text: str) -> None:
    assert ARTEFACT_PHRASES.search(text)


@pytest.mark.parametrize("text", ["This is based on facts.", "for example, the light", ""])
def test_ordinary_phrases_are_not(text: str) -> None:
    assert not ARTEFACT_PHRASES.search(text)


def test_the_artefact_rate_counts_written_completions_only(tiny_folder: Path) -> None:
    """A demonstration that says so is the user's own text."""
    trainer = tiny_trainer(tiny_folder, tiny_config())
    report = training_step(trainer, demonstrations(4), 0)
    telling, plain = map(trainer.model.tokenizer.encode, ("Based on the text: a", "a"))
    rollouts = Rollouts(
        [telling, plain, telling, telling],
        ["student", "student", "teacher", "demonstration"],
        [False] * 4,
    )
    values = observe(trainer, replace(report, rollouts=rollouts))
    assert values["artefact_rate"] == pytest.approx(2 / 3)
    assert values["student_share"] == 0.5
    sft = tiny_trainer(tiny_folder, tiny_config("sft"))
    assert "artefact_rate" not in observe(sft, training_step(sft, demonstrations(4), 0))
