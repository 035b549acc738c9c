"""One step against plain transformers and autograd, row by row."""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from backend.config import RunConfig
from backend.data.demonstration import Demonstration
from backend.training.step import StepReport, training_step
from backend.training.trainer import Trainer
from tests.tiny_model import build_model
from tests.training.tiny_runs import (
    EQUAL_CONTEXT,
    adapter_of,
    assert_close_tensors,
    demonstration,
    demonstrations,
    disturb_adapter,
    gradients_of_step,
    tiny_config,
    tiny_trainer,
)

SHARE = 0.5


def disturbed_trainer(folder: Path, config: RunConfig) -> Trainer:
    """A trainer whose student has left the base, and whose average stands elsewhere again."""
    trainer = tiny_trainer(folder, config)
    disturb_adapter(trainer.model, seed=1)
    for tensor in trainer.teacher.average.values():
        tensor.add_(torch.randn(tensor.shape, generator=torch.Generator().manual_seed(2)) * 0.1)
    return trainer


def row_logits(network: torch.nn.Module, prompt: list[int], completion: list[int]) -> Tensor:
    logits: Tensor = network(input_ids=torch.tensor([prompt + completion])).logits[0]
    return logits[len(prompt) - 1 : -1]


def in_double(trainer: Trainer) -> Any:
    """A copy of the student in fp64, whose norms, unlike transformers' own, compute in it, too."""
    network = copy.deepcopy(trainer.model.network).double()
    for module in network.modules():
        if hasattr(module, "variance_epsilon"):
            module.forward = partial(exact_norm, module)
    return network


def exact_norm(norm: Any, hidden: Tensor) -> Tensor:
    mean_square = hidden.square().mean(-1, keepdim=True)
    exact: Tensor = norm.weight * hidden * (mean_square + norm.variance_epsilon).rsqrt()
    return exact


def teacher_logits(trainer: Trainer, prompt: list[int], completion: list[int]) -> Tensor:
    """By a second network, as transformers and PEFT would do it."""
    network = in_double(trainer)
    if trainer.teacher.average:
        network.load_state_dict(trainer.teacher.average, strict=False)
    with torch.no_grad():
        if trainer.config.teacher.weights == "base":
            with network.disable_adapter():
                return row_logits(network, prompt, completion)
        return row_logits(network, prompt, completion)


def oracle_loss(trainer: Trainer, report: StepReport, network: Any, skip: int) -> Tensor:
    """The sequence mean of the divergence, from dense probabilities in float64."""
    losses, prompts = [], report.prompts
    temperature = trainer.config.rollout.temperature
    for i, completion in enumerate(report.rollouts.completions):
        student = row_logits(network, prompts.student[i], completion)
        if prompts.teacher is None:
            tokens = torch.tensor(completion)
            losses.append(torch.nn.functional.cross_entropy(student, tokens, reduction="none"))
            continue
        teacher = teacher_logits(trainer, prompts.teacher[i], completion)
        p_S = (student / temperature).softmax(-1)
        p_T = (teacher / temperature / trainer.config.teacher.temperature).softmax(-1)
        m = (p_S + p_T) / 2
        kind = trainer.config.divergence.kind
        losses.append(
            (p_T * (p_T / p_S).log()).sum(-1)
            if kind == "forward_kl"
            else (p_S * (p_S / p_T).log()).sum(-1)
            if kind == "reverse_kl"
            else (p_S * (p_S / m).log() + p_T * (p_T / m).log()).sum(-1) / 2
        )
    counted = [row[skip:] for row in losses if len(row) > skip]
    return torch.stack([row.mean() for row in counted]).mean()


METHODS = [
    {"method": "sft"},
    {"method": "sdft", "teacher__weights": "base"},
    {"method": "sdft", "teacher__weights": "live", "divergence__kind": "reverse_kl"},
    {"method": "sdft", "teacher__weights": "ema", "divergence__kind": "jsd"},
    {"method": "sdft", "rollout__temperature": 1.5, "teacher__temperature": 0.7},
    {"method": "sdft", "token_weights__skip_first": 2, "rollout__source": "demonstration"},
]


@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen3"])
@pytest.mark.parametrize(
    "choices", METHODS, ids=lambda choices: "-".join(map(str, choices.values()))
)
def test_loss_and_gradient_equal_plain_transformers(
    choices: dict[str, object], family: str, tmp_path: Path
) -> None:
    """Checklist 14, 15, 17 and 18, end to end: rows alone, no padding, no chunks, no cache.

    In fp32 what is left is rounding, of which these weights make much: by norm, not by entry.
    """
    trainer = disturbed_trainer(build_model(tmp_path, family=family), tiny_config(**choices))
    report, single = gradients_of_step(trainer, demonstrations(4))
    expected = expected_gradients(trainer, report)
    assert apart(single, expected) < 3e-5
    trainer.model.network.double()
    report, double = gradients_of_step(trainer, demonstrations(4))
    assert_close_tensors(double, expected_gradients(trainer, report), tolerance=3e-6)


def expected_gradients(trainer: Trainer, report: StepReport) -> dict[str, Tensor]:
    """By plain transformers in fp64; the report's loss is held against theirs."""
    network = in_double(trainer)
    loss = oracle_loss(trainer, report, network, trainer.config.token_weights.skip_first)
    loss.backward()
    assert report.loss == pytest.approx(float(loss.detach()), abs=1e-5)
    return {
        name: torch.zeros_like(p) if p.grad is None else p.grad
        for name, p in network.named_parameters()
        if p.requires_grad
    }


def apart(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    """The norm of the difference over the norm."""
    both = [(ours[name].double(), theirs[name].double()) for name in theirs]
    difference = sum(float((one - other).square().sum()) for one, other in both)
    return float((difference / sum(float(other.square().sum()) for _, other in both)) ** 0.5)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("kind", ["forward_kl", "reverse_kl", "jsd"])
def test_equal_context_with_a_live_teacher_gives_nothing(
    kind: str, family: str, tmp_path: Path
) -> None:
    """Checklist 4, end to end; GPT-2 has dropout, which must not make the sides differ."""
    config = tiny_config(divergence__kind=kind, teacher__weights="live", **EQUAL_CONTEXT)
    trainer = disturbed_trainer(build_model(tmp_path, family=family), config)
    rows = [row.model_copy(update={"demonstration": ""}) for row in demonstrations(4)]
    report, gradients = gradients_of_step(trainer, rows)
    assert report.prompts.teacher == report.prompts.student
    assert abs(report.loss) < 1e-6
    assert max(float(g.abs().max()) for g in gradients.values()) < 1e-6


@pytest.mark.parametrize("average", ["sequence", "token"])
@pytest.mark.parametrize("method", ["sft", "sdft"])
def test_micro_batches_add_up_to_the_batch(method: str, average: str, tiny_folder: Path) -> None:
    """Checklist 17: also under the token mean, since weights are made for the whole batch.

    In fp64: a whole batch is not read again after it was written, and micro-batches are.
    """
    results = []
    for size in (0, 1, 3):
        config = tiny_config(
            method,
            micro_batch_size=size,
            token_weights__average=average,
            token_weights__skip_first=1,
        )
        trainer = disturbed_trainer(tiny_folder, config)
        trainer.model.network.double()
        results.append(gradients_of_step(trainer, demonstrations(4)))
    whole_report, whole = results[0]
    for report, gradients in results[1:]:
        assert report.loss == pytest.approx(whole_report.loss, rel=1e-5)
        torch.testing.assert_close(report.compared.divergence_N, whole_report.compared.divergence_N)
        assert_close_tensors(gradients, whole, tolerance=1e-5)


def test_the_batchs_loss_is_the_mean_of_its_rows_alone(tiny_folder: Path) -> None:
    """Checklist 17: a sample alone equals the same sample inside a padded batch."""
    trainer = disturbed_trainer(tiny_folder, tiny_config(rollout__source="demonstration"))
    rows = demonstrations(4)
    together, whole = gradients_of_step(trainer, rows)
    alone = [gradients_of_step(trainer, [row]) for row in rows]
    assert together.loss == pytest.approx(sum(report.loss for report, _ in alone) / 4, rel=1e-5)
    mean = {name: sum(g[name] for _, g in alone) / 4 for name in whole}
    assert_close_tensors(whole, mean, tolerance=1e-5)


def test_skipped_tokens_leave_the_loss_but_not_the_attention(tiny_folder: Path) -> None:
    """Checklist 15."""
    rows = demonstrations(4)
    reports = [
        gradients_of_step(
            disturbed_trainer(tiny_folder, tiny_config(token_weights__skip_first=skip)), rows
        )[0]
        for skip in (0, 2, 100)
    ]
    for report in reports[1:]:
        assert report.rollouts == reports[0].rollouts
        assert torch.equal(report.compared.divergence_N, reports[0].compared.divergence_N)
    values_BT = reports[0].batch.scatter(reports[0].compared.divergence_N)
    mask_BT = reports[0].batch.completion_mask_BT
    rest = [row[mask][2:].mean() for row, mask in zip(values_BT, mask_BT, strict=True)]
    rest = [mean for mean in rest if not torch.isnan(mean)]
    assert reports[1].loss == pytest.approx(float(torch.stack(rest).mean()), rel=1e-5)


def test_a_batch_without_counted_tokens_gives_a_finite_zero(tiny_folder: Path) -> None:
    """Checklist 14."""
    trainer = disturbed_trainer(tiny_folder, tiny_config(token_weights__skip_first=100))
    report, gradients = gradients_of_step(trainer, demonstrations(2))
    assert report.loss == 0.0
    assert report.grad_norm == 0.0
    assert all(not gradient.any() for gradient in gradients.values())


def test_the_loss_stops_where_the_teacher_gives_up(tiny_folder: Path) -> None:
    """The threshold is read from the same probabilities that the loss compares with."""
    counts: set[int] = set()
    for threshold in (0.2, 0.05, 0.01, 0.002):
        # Written by the teacher, so that some tokens are likely and some are not.
        config = tiny_config(
            token_weights__stop_below=threshold,
            teacher__temperature=0.7,
            rollout__source="teacher",
        )
        trainer = disturbed_trainer(tiny_folder, config)
        report, _ = gradients_of_step(trainer, demonstrations(4))
        assert report.prompts.teacher is not None
        for i, completion in enumerate(report.rollouts.completions):
            logits = teacher_logits(trainer, report.prompts.teacher[i], completion) / 0.7
            likely = logits.softmax(-1)[torch.arange(len(completion)), completion] >= threshold
            first = likely.tolist().index(False) if not likely.all() else len(completion)
            counted = int((report.weights_BT[i] > 0).sum())
            assert counted == min(first + 1, len(completion))
            counts.add(counted)
    assert len(counts) > 2


def test_gradients_are_clipped_after_their_norm_was_measured(tiny_folder: Path) -> None:
    trainer = disturbed_trainer(tiny_folder, tiny_config("sft", optimizer__max_grad_norm=0.01))
    report, gradients = gradients_of_step(trainer, demonstrations(4))
    norm = torch.cat([g.flatten() for g in gradients.values()]).norm()
    assert report.grad_norm > 0.1
    assert float(norm) == pytest.approx(0.01, rel=1e-3)


def test_each_prompt_is_rolled_out_as_often_as_asked(tiny_folder: Path) -> None:
    trainer = disturbed_trainer(tiny_folder, tiny_config(rollout__per_prompt=3))
    report = training_step(trainer, demonstrations(2), 0)
    assert [row.id for row in report.rows] == ["row-1"] * 3 + ["row-2"] * 3
    assert len({tuple(completion) for completion in report.rollouts.completions}) > 2


def test_a_step_lowers_its_own_loss_and_leaves_the_base_alone(tiny_folder: Path) -> None:
    trainer = tiny_trainer(tiny_folder, tiny_config("sft"))
    base = {
        name: p.clone()
        for name, p in trainer.model.network.named_parameters()
        if not p.requires_grad
    }
    rows = [demonstration(1), demonstration(2)]
    losses = [training_step(trainer, rows, step).loss for step in range(4)]
    assert losses == sorted(losses, reverse=True)
    assert all(
        torch.equal(p, base[name])
        for name, p in trainer.model.network.named_parameters()
        if name in base
    )
    assert all(p.grad is None for p in trainer.model.network.parameters())


def test_a_step_is_the_same_whatever_ran_before_it(tiny_folder: Path) -> None:
    """Its random numbers come from seed and step alone."""
    config = tiny_config()
    rows: list[Demonstration] = demonstrations(4)
    first, second = (disturbed_trainer(tiny_folder, config) for _ in range(2))
    torch.manual_seed(123)
    gradients_of_step(second, rows, step=7)
    results = [training_step(trainer, rows, 3) for trainer in (first, second)]
    assert results[0].rollouts == results[1].rollouts
    assert results[0].loss == results[1].loss
    assert_close_tensors(adapter_of(first.model), adapter_of(second.model), tolerance=0.0)


def test_other_steps_and_seeds_draw_other_numbers(tiny_folder: Path) -> None:
    rows = demonstrations(4)
    draws = [
        gradients_of_step(disturbed_trainer(tiny_folder, tiny_config(seed=seed)), rows, step)[0]
        for seed, step in ((0, 0), (0, 1), (1, 0))
    ]
    written = [report.rollouts.completions for report in draws]
    assert written[0] != written[1] != written[2] != written[0]
