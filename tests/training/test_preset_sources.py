"""Presets that follow a source to the letter, against that source."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from trl.experimental.gold import GOLDConfig
from trl.experimental.sdft import SDFTConfig

from backend.config import RunConfig
from backend.methods import resolve


def preset(name: str) -> RunConfig:
    return resolve({"task": "tiny", "method": name})


def defaults(config: type[Any]) -> dict[str, Any]:
    return {field.name: field.default for field in dataclasses.fields(config)}


def test_trls_preset_has_the_defaults_of_trl() -> None:
    ours, theirs = preset("sdft/trl"), defaults(SDFTConfig)
    assert set(ours.rollout.source) == {"student"}
    assert not theirs["generate_from_teacher"]
    assert ours.rollout.per_prompt == theirs["num_generations"]
    assert ours.batch_size * ours.rollout.per_prompt == theirs["per_device_train_batch_size"]
    assert theirs["gradient_accumulation_steps"] == 1
    assert ours.rollout.max_new_tokens == theirs["max_completion_length"]
    assert (ours.rollout.temperature, ours.rollout.top_p, ours.rollout.top_k) == (
        theirs["temperature"], theirs["top_p"], theirs["top_k"]
    )  # fmt: skip
    assert theirs["min_p"] is None
    assert ours.rollout.min_p == 0
    assert ours.teacher.weights == theirs["teacher_model_kind"]
    assert ours.teacher.template == theirs["teacher_prompt_template"].replace(
        "privileged_context", "demonstration"
    )
    assert theirs["distillation_mode"] == "topk_logits"
    assert (ours.divergence.kind, ours.divergence.support) == ("jsd", "student-top-k")
    assert ours.divergence.teacher_share == theirs["distillation_alpha"]
    assert ours.divergence.top_k == theirs["distillation_topk"]
    assert ours.divergence.tail == theirs["distillation_add_tail"]
    assert ours.token_weights.importance_cap == theirs["distillation_is_clip"]
    assert ours.token_weights.skip_first == theirs["num_loss_tokens_to_skip"]
    # Its trainer divides a row's sum by the row's tokens, and takes the mean of the rows.
    assert ours.token_weights.average == "sequence"
    assert ours.optimizer.learning_rate == theirs["learning_rate"]
    assert_same_optimizer(ours, theirs)


def assert_same_optimizer(ours: RunConfig, theirs: dict[str, Any]) -> None:
    optimizer = ours.optimizer
    assert (optimizer.schedule, optimizer.warmup_steps) == (
        theirs["lr_scheduler_type"], theirs["warmup_steps"]
    )  # fmt: skip
    assert (optimizer.max_grad_norm, optimizer.weight_decay) == (
        theirs["max_grad_norm"], theirs["weight_decay"]
    )  # fmt: skip


# What the sources say, by the command lines and configurations that they publish.
PUBLISHED: dict[str, dict[str, Any]] = {
    # Shared methods.md, and siyan-zhao/OPSD, commit d75fcc7, scripts/run_opsd.sh.
    "opsd/paper": {
        "rollout": {"temperature": 1.1, "top_p": 0.95, "top_k": 20, "max_new_tokens": 1024},
        "teacher": {"weights": "base", "context": "reference-solution"},
        "divergence": {"kind": "forward_kl", "clip": 0.05, "support": "full"},
        "token_weights": {"skip_first": 0},
        "adapter": {"rank": 64, "alpha": 128},
        "optimizer": {"learning_rate": 2e-4},
    },
    "opsd/first-release": {
        "rollout": {"temperature": 1.1, "top_p": 0.95, "top_k": 20, "max_new_tokens": 1024},
        "teacher": {"weights": "base", "context": "reference-solution"},
        "divergence": {"kind": "jsd", "teacher_share": 0.5, "clip": None, "support": "full"},
        "adapter": {"rank": 64, "alpha": 128},
        "optimizer": {"learning_rate": 2e-4},
    },
    # Arxiv 2604.01193: sampled once, all kept but empty answers and single lines.
    "ssd/paper": {
        "rollout": {"temperature": 1.6, "top_k": 20, "top_p": 0.8, "min_lines": 2},
        "teacher": {"weights": "none"},
        "divergence": {"kind": "nll"},
    },
    # lasgroup/SDPO, verl/trainer/config/actor/actor.yaml and dp_actor.yaml.
    "sdpo/paper": {
        "rollout": {"per_prompt": 8, "temperature": 1.0},
        "teacher": {"weights": "ema", "rate": 0.05, "success_at": 0.5},
        "divergence": {"kind": "jsd", "teacher_share": 0.5, "support": "student-top-k",
                       "top_k": 100, "tail": True},
        "token_weights": {"importance_cap": 2.0, "average": "token"},
        "optimizer": {"max_grad_norm": 1.0, "weight_decay": 0.01},
    },
    # Arxiv 2601.19897, its table of hyperparameters.
    "sdft/paper": {
        "rollout": {"per_prompt": 1, "temperature": 1.0, "max_new_tokens": 2048},
        "teacher": {"weights": "ema", "context": "paper"},
        "divergence": {"kind": "forward_kl", "support": "full"},
        "token_weights": {"skip_first": 3},
        "optimizer": {"schedule": "cosine", "warmup_steps": 10, "max_grad_norm": 1.0,
                      "weight_decay": 0.0},
    },
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_preset_says_what_was_published(name: str) -> None:
    document = preset(name).as_document()
    for group, values in PUBLISHED[name].items():
        assert {key: document[group][key] for key in values} == values


@pytest.mark.parametrize("name", ["opsd/paper", "opsd/first-release"])
def test_what_opsds_script_leaves_open_is_as_trl_has_it(name: str) -> None:
    assert_same_optimizer(preset(name), defaults(GOLDConfig))
