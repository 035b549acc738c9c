"""What a step multiplies a token's loss by, and the demonstration's share of the loss."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from backend.config import TokenWeightsConfig
from backend.training.observations import observe
from backend.training.token_weights import counted_tokens, derailed_tokens, token_factors
from tests.training.test_step import disturbed_trainer, row_logits
from tests.training.tiny_runs import (
    assert_close_tensors,
    demonstrations,
    gradients_of_step,
    tiny_config,
)


def test_dfts_gradient_is_that_of_minus_the_probability(tiny_folder: Path) -> None:
    """Checklist 11: by plain transformers and autograd, in float64 from the logits on."""
    trainer = disturbed_trainer(tiny_folder, tiny_config("dft"))
    report, gradients = gradients_of_step(trainer, demonstrations(4))
    rows = zip(report.prompts.student, report.rollouts.completions, strict=True)
    probabilities, values = [], []
    for prompt, completion in rows:
        logprobs = row_logits(trainer.model.network, prompt, completion).log_softmax(-1)
        own = logprobs[torch.arange(len(completion)), completion]
        probabilities.append(-own.exp().mean())
        values.append((-own * own.exp()).mean())
    torch.stack(probabilities).mean().backward()
    parameters = trainer.model.adapter_parameters()
    expected = {name: p.grad for name, p in parameters.items() if p.grad is not None}
    assert_close_tensors({name: gradients[name] for name in expected}, expected, tolerance=1e-5)
    assert report.loss == pytest.approx(float(torch.stack(values).mean().detach()), abs=1e-6)


def test_factors_are_one_unless_asked_for() -> None:
    now = torch.tensor([0.4, 0.3, 0.5]).log()
    sampler = torch.tensor([0.1, 0.2, math.nan]).log()
    plain = token_factors(TokenWeightsConfig(), now, sampler)
    assert plain.tolist() == [1.0, 1.0, 1.0]
    capped = token_factors(TokenWeightsConfig(importance_cap=2.0), now, sampler)
    torch.testing.assert_close(capped, torch.tensor([2.0, 1.5, 1.0]))
    by_probability = token_factors(TokenWeightsConfig(by_probability=True), now, sampler)
    torch.testing.assert_close(by_probability, torch.tensor([0.4, 0.3, 0.5]))


def test_the_importance_cap_weighs_the_teachers_rollouts_only(tiny_folder: Path) -> None:
    for source, is_weighed in (("teacher", True), ("student", False), ("demonstration", False)):
        losses = []
        for cap in (None, 1.5):
            config = tiny_config(
                rollout__source=source,
                teacher__weights="ema",
                teacher__temperature=0.7,
                token_weights__importance_cap=cap,
            )
            trainer = disturbed_trainer(tiny_folder, config)
            losses.append(gradients_of_step(trainer, demonstrations(4))[0].loss)
        assert (losses[0] != losses[1]) == is_weighed


@pytest.mark.parametrize("size", [0, 3])
def test_a_share_of_the_loss_may_be_the_demonstrations(size: int, tiny_folder: Path) -> None:
    """(1 - a) times the divergence plus a times -log p: in value and gradient."""
    share = {"from": 0.6, "to": 0.2, "over": 2}
    results = {}
    for name, nll_share in (("none", 0.0), ("mixed", share), ("all", 1.0)):
        config = tiny_config(divergence__nll_share=nll_share, micro_batch_size=size)
        trainer = disturbed_trainer(tiny_folder, config)
        results[name] = gradients_of_step(trainer, demonstrations(4), step=1)
        logged = observe(trainer, results[name][0])
        assert ("demonstration_nll" in logged) == (name != "none")
    sft = disturbed_trainer(tiny_folder, tiny_config("sft"))
    nll, nll_gradients = gradients_of_step(sft, demonstrations(4), step=1)
    assert results["all"][0].loss == pytest.approx(nll.loss, rel=1e-5)
    plain, plain_gradients = results["none"]
    mixed, gradients = results["mixed"]
    assert mixed.demonstration_nll == pytest.approx(nll.loss, rel=1e-5)
    assert mixed.loss == pytest.approx(0.6 * plain.loss + 0.4 * nll.loss, rel=1e-5)
    expected = {name: 0.6 * plain_gradients[name] + 0.4 * nll_gradients[name] for name in gradients}
    assert_close_tensors(gradients, expected, tolerance=1e-5)


def test_a_rollout_derails_at_so_many_unlikely_tokens_in_a_row() -> None:
    teacher = torch.tensor([[0.5, 0.01, 0.5, 0.01, 0.01, 0.5, 0.01]]).log()
    mask = torch.ones(1, 7, dtype=torch.bool)
    counted = [
        int(counted_tokens(TokenWeightsConfig(stop_below=0.02, stop_after=n), mask, teacher).sum())
        for n in (1, 2, 3)
    ]
    assert counted == [2, 5, 7]
    config = TokenWeightsConfig(stop_below=0.02, stop_after=2)
    assert derailed_tokens(config, mask, teacher).tolist() == [[False] * 5 + [True] * 2]
    assert not derailed_tokens(config, mask, None).any()


def test_derailed_rollouts_are_counted(tiny_folder: Path) -> None:
    config = tiny_config(token_weights__stop_below=0.9, token_weights__stop_after=2)
    trainer = disturbed_trainer(tiny_folder, config)
    report, _ = gradients_of_step(trainer, demonstrations(4))
    counted = (report.weights_BT > 0).sum(1)
    cut = int((counted < report.batch.completion_mask_BT.sum(1)).sum())
    assert report.derailed == cut > 0
    assert observe(trainer, report)["derailed_fraction"] == cut / 4


def test_sampled_tokens_log_their_mean_log_ratio(tiny_folder: Path) -> None:
    """Checklist 7: the loss is no KL, so what estimates one has a name of its own."""
    config = tiny_config(divergence__kind="reverse_kl", divergence__support="sampled-token")
    trainer = disturbed_trainer(tiny_folder, config)
    report, gradients = gradients_of_step(trainer, demonstrations(4))
    assert report.prompts.teacher is not None
    assert report.teacher_logprobs_BT is not None
    ratios = (report.compared.logprob_N - report.teacher_logprobs_BT[
        report.batch.completion_mask_BT
    ])  # fmt: skip
    rows = ratios.split([len(ids) for ids in report.rollouts.completions])
    expected = sum(float(row.mean()) for row in rows) / 4
    assert observe(trainer, report)["log_ratio"] == pytest.approx(expected, rel=1e-5)
    assert report.loss != pytest.approx(expected, rel=0.1)
    assert any(gradient.any() for gradient in gradients.values())
