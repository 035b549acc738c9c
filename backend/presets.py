"""The zoo of methods: presets as values over five choices, each value with its source.

Every method minimises, over the completion tokens, ``sum_t w_t * D(target_t || student_t)``;
five choices say which method it is: rollout source, teacher context, teacher weights, divergence
and token weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

SDFT_PAPER: Final = "SDFT, arXiv 2601.19897"
SDFT_ISSUE_5: Final = "idanshen/Self-Distillation issue 5: published numbers used forward KL"
TRL: Final = "TRL 1.16, defaults of trl.experimental.sdft"
DFT_PAPER: Final = "DFT, arXiv 2508.05629"
OPSD_PAPER: Final = "OPSD, arXiv 2601.18734, third version"
OPSD_FIRST: Final = "siyan-zhao/OPSD, commit d75fcc7, scripts/run_opsd.sh"
OPSD_UNSET: Final = OPSD_FIRST + " leaves it as TRL has it"
SSD_PAPER: Final = "SSD, arXiv 2604.01193"
SDPO_PAPER: Final = "SDPO, arXiv 2601.20802, as lasgroup/SDPO configures it"
REINVOKE: Final = "SDFT, arXiv 2601.19897, its baseline of SFT with re-invoking"
TRIALS: Final = "sdlab trials with SmolLM2-135M-Instruct, docs/trials.md"
FIELD: Final = "common practice for supervised fine-tuning"
LAB: Final = "sdlab"
UNTRIED: Final = "sdlab, by analogy with sft and sdft; no trial yet"
TRIED_ONCE: Final = "sdlab, by analogy with sft and sdft; tried once, 16 steps, docs/trials.md"


@dataclass(frozen=True)
class Choice:
    """A setting and where its value comes from."""

    value: Any
    source: str


@dataclass(frozen=True)
class Preset:
    """A method with all its choices; keys are dotted names of RunConfig."""

    summary: str
    choices: Mapping[str, Choice]


_SFT: Final = {
    "rollout.source": Choice("demonstration", FIELD),
    "rollout.max_new_tokens": Choice(256, LAB),
    "teacher.weights": Choice("none", FIELD),
    "divergence.kind": Choice("nll", FIELD),
    "token_weights.skip_first": Choice(0, FIELD),
    "token_weights.average": Choice("sequence", LAB),
}

_SSD: Final = {
    "rollout.source": Choice("sampled", SSD_PAPER),
    "rollout.per_prompt": Choice(1, SSD_PAPER),
    "rollout.temperature": Choice(1.6, SSD_PAPER + " (the released configuration: 1.5)"),
    "rollout.top_k": Choice(20, SSD_PAPER),
    "rollout.top_p": Choice(0.8, SSD_PAPER),
    "teacher.weights": Choice("none", SSD_PAPER),
    "divergence.kind": Choice("nll", SSD_PAPER),
    "token_weights.skip_first": Choice(0, SSD_PAPER),
    "token_weights.average": Choice("sequence", LAB),
}

_SDFT_PAPER: Final = {
    "rollout.source": Choice("student", SDFT_PAPER),
    "rollout.per_prompt": Choice(1, SDFT_PAPER),
    "rollout.temperature": Choice(1.0, SDFT_PAPER),
    "rollout.max_new_tokens": Choice(2048, SDFT_PAPER),
    "teacher.weights": Choice("ema", SDFT_PAPER),
    "teacher.rate": Choice(0.02, SDFT_PAPER + " (0.01, 0.02 or 0.05)"),
    "teacher.context": Choice("paper", SDFT_PAPER),
    "divergence.kind": Choice("forward_kl", SDFT_ISSUE_5),
    "token_weights.skip_first": Choice(3, SDFT_PAPER),
    "token_weights.average": Choice("sequence", LAB),
    "batch_size": Choice(32, SDFT_PAPER + " (16, 32 or 64)"),
    "optimizer.learning_rate": Choice(
        1e-4, SDFT_PAPER + " used 1e-5 for all weights; LoRA wants 10 to 50 times that"
    ),
    "optimizer.schedule": Choice("cosine", SDFT_PAPER),
    "optimizer.warmup_steps": Choice(10, SDFT_PAPER),
    "optimizer.max_grad_norm": Choice(1.0, SDFT_PAPER),
    "optimizer.weight_decay": Choice(0.0, SDFT_PAPER),
}

_SDFT_SMALL: Final = {
    "rollout.source": Choice(
        {"demonstration": {"from": 1, "to": 0, "over": 60}, "student": "rest"}, TRIALS
    ),
    "rollout.per_prompt": Choice(1, TRIALS),
    "rollout.temperature": Choice(1.0, TRIALS),
    "rollout.max_new_tokens": Choice({"from": 8, "to": 20, "over": 50}, TRIALS),
    "teacher.weights": Choice("ema", TRIALS),
    "teacher.rate": Choice(0.02, TRIALS),
    "teacher.context": Choice("earlier-turn-twice", TRIALS),
    "teacher.temperature": Choice(0.7, TRIALS),
    "divergence.kind": Choice("forward_kl", TRIALS),
    "token_weights.skip_first": Choice(0, TRIALS),
    "token_weights.stop_below": Choice(0.02, TRIALS),
    "token_weights.average": Choice("sequence", LAB),
    "optimizer.learning_rate": Choice(3e-4, TRIALS),
}

_SDFT_TRL: Final = {
    "rollout.source": Choice("student", TRL),
    "rollout.per_prompt": Choice(8, TRL),
    "rollout.temperature": Choice(1.0, TRL),
    "rollout.max_new_tokens": Choice(256, TRL),
    "teacher.weights": Choice("base", TRL),
    "teacher.context": Choice("template", TRL),
    "teacher.template": Choice("{prompt}\n\n{demonstration}", TRL),
    "divergence.kind": Choice("jsd", TRL),
    "divergence.teacher_share": Choice(0.5, TRL),
    "divergence.support": Choice("student-top-k", TRL),
    "divergence.top_k": Choice(100, TRL),
    "divergence.tail": Choice(False, TRL),
    "token_weights.skip_first": Choice(0, TRL),
    "token_weights.importance_cap": Choice(2.0, TRL),
    "token_weights.average": Choice("sequence", TRL),
    "batch_size": Choice(1, TRL + ": 8 rows a device, all of one prompt"),
    "optimizer.learning_rate": Choice(5e-5, TRL),
    "optimizer.schedule": Choice("linear", TRL),
    "optimizer.warmup_steps": Choice(0, TRL),
    "optimizer.max_grad_norm": Choice(1.0, TRL),
    "optimizer.weight_decay": Choice(0.0, TRL),
}

_OPSD: Final = {
    "rollout.source": Choice("student", OPSD_PAPER),
    "rollout.per_prompt": Choice(1, OPSD_PAPER),
    "rollout.temperature": Choice(1.1, OPSD_PAPER),
    "rollout.top_p": Choice(0.95, OPSD_PAPER),
    "rollout.top_k": Choice(20, OPSD_PAPER),
    "rollout.max_new_tokens": Choice(1024, OPSD_FIRST),
    "teacher.weights": Choice("base", OPSD_PAPER),
    "teacher.context": Choice("reference-solution", OPSD_PAPER),
    "divergence.kind": Choice("forward_kl", OPSD_PAPER),
    "divergence.clip": Choice(0.05, OPSD_PAPER),
    "token_weights.skip_first": Choice(0, OPSD_PAPER),
    "token_weights.average": Choice("token", OPSD_FIRST),
    "batch_size": Choice(32, OPSD_FIRST + ": 8 devices of 1, 4 accumulated"),
    "adapter.rank": Choice(64, OPSD_FIRST),
    "adapter.alpha": Choice(128, OPSD_FIRST),
    "optimizer.learning_rate": Choice(2e-4, OPSD_FIRST),
    "optimizer.schedule": Choice("linear", OPSD_UNSET),
    "optimizer.warmup_steps": Choice(0, OPSD_UNSET),
    "optimizer.max_grad_norm": Choice(1.0, OPSD_UNSET),
    "optimizer.weight_decay": Choice(0.0, OPSD_UNSET),
}

_SDPO: Final = {
    "rollout.source": Choice("student", SDPO_PAPER),
    "rollout.per_prompt": Choice(8, SDPO_PAPER),
    "rollout.temperature": Choice(1.0, SDPO_PAPER),
    "rollout.max_new_tokens": Choice(2048, LAB + "; lasgroup/SDPO writes up to 8192"),
    "teacher.weights": Choice("ema", SDPO_PAPER),
    "teacher.rate": Choice(0.05, SDPO_PAPER),
    "teacher.context": Choice("sibling-or-feedback", SDPO_PAPER),
    "teacher.success_at": Choice(0.5, SDPO_PAPER),
    "divergence.kind": Choice("jsd", SDPO_PAPER),
    "divergence.teacher_share": Choice(0.5, SDPO_PAPER),
    "divergence.support": Choice("student-top-k", SDPO_PAPER),
    "divergence.top_k": Choice(100, SDPO_PAPER),
    "divergence.tail": Choice(True, SDPO_PAPER),
    "token_weights.skip_first": Choice(0, SDPO_PAPER),
    "token_weights.importance_cap": Choice(2.0, SDPO_PAPER),
    "token_weights.average": Choice("token", SDPO_PAPER),
    "batch_size": Choice(32, SDPO_PAPER),
    "optimizer.learning_rate": Choice(
        1e-4, SDPO_PAPER + " (1e-5 for all weights); LoRA wants 10 to 50 times that"
    ),
    "optimizer.warmup_steps": Choice(10, SDPO_PAPER),
}

_REINVOKE: Final = {
    "rollout.source": Choice("student", REINVOKE),
    "rollout.prompts": Choice("general", REINVOKE),
    "rollout.per_prompt": Choice(1, LAB),
    "rollout.temperature": Choice(1.0, LAB),
    "rollout.max_new_tokens": Choice(48, LAB),
    "teacher.weights": Choice("base", REINVOKE),
    "teacher.context": Choice("prompt-only", REINVOKE),
    "divergence.kind": Choice("reverse_kl", REINVOKE),
    "token_weights.skip_first": Choice(0, LAB),
    "token_weights.average": Choice("sequence", LAB),
    "optimizer.learning_rate": Choice(1e-4, TRIED_ONCE),
}

# In place of a preset's rate, which is an adapter's, where all weights are trained.
FULL_LEARNING_RATE: Final = Choice(1e-5, SDFT_PAPER + " (5e-6, 1e-5 or 5e-5)")

PRESETS: Final[Mapping[str, Preset]] = {
    "sft/small-model": Preset(
        "supervised fine-tuning on the demonstrations, at a careful learning rate",
        {**_SFT, "optimizer.learning_rate": Choice(1e-4, TRIALS)},
    ),
    "sft/careless": Preset(
        "supervised fine-tuning at a learning rate that forgets",
        {**_SFT, "optimizer.learning_rate": Choice(3e-4, TRIALS)},
    ),
    "dft/small-model": Preset(
        "fine-tuning that trusts a token as far as the student does: its loss times p(token)",
        {
            **_SFT,
            "token_weights.by_probability": Choice(True, DFT_PAPER),
            "optimizer.learning_rate": Choice(
                3e-4, LAB + "; tried once, and tickets were not learned, docs/trials.md"
            ),
        },
    ),
    "ssd/small-model": Preset(
        "offline self-training on answers that the model sampled once; no teacher",
        {
            **_SSD,
            "rollout.max_new_tokens": Choice(32, LAB),
            "rollout.min_lines": Choice(1, LAB + ": answers may well be one line"),
            "optimizer.learning_rate": Choice(1e-4, TRIED_ONCE),
        },
    ),
    "ssd/paper": Preset(
        "offline self-training as published: hot samples, all kept but single lines",
        {
            **_SSD,
            "rollout.max_new_tokens": Choice(2048, LAB + "; the released pipeline: 65,536"),
            "rollout.min_lines": Choice(2, SSD_PAPER),
            "optimizer.learning_rate": Choice(1e-4, UNTRIED),
        },
    ),
    "sdft/small-model": Preset(
        "self-distillation for models of some hundred million parameters: clean prefixes first",
        _SDFT_SMALL,
    ),
    "sdft/paper": Preset(
        "self-distillation as its published numbers were made: forward KL, EMA teacher, skip 3",
        _SDFT_PAPER,
    ),
    "sdft/paper-equations": Preset(
        "self-distillation as the paper's equations have it: reverse KL",
        {**_SDFT_PAPER, "divergence.kind": Choice("reverse_kl", SDFT_PAPER)},
    ),
    "sdft/trl": Preset(
        "self-distillation as TRL does it unless told otherwise: JSD on 100 tokens, base teacher",
        _SDFT_TRL,
    ),
    "opsd/small-model": Preset(
        "self-distillation from a reference solution and a frozen teacher, for small models",
        {
            **_SDFT_SMALL,
            "teacher.weights": Choice("base", OPSD_PAPER),
            "teacher.context": Choice("reference-earlier-turn", TRIALS),
        },
    ),
    "opsd/paper": Preset(
        "self-distillation from a reference solution: frozen teacher, forward KL with clip",
        _OPSD,
    ),
    "opsd/first-release": Preset(
        "the same as first released: JSD, without a clip",
        {
            **{key: choice for key, choice in _OPSD.items() if key != "divergence.clip"},
            "divergence.kind": Choice("jsd", OPSD_FIRST),
            "divergence.teacher_share": Choice(0.5, OPSD_FIRST),
        },
    ),
    "sdpo/small-model": Preset(
        "learning from scored attempts: a sibling that succeeded, or feedback, is the lesson",
        {
            **_SDPO,
            "rollout.per_prompt": Choice(4, LAB),
            "rollout.max_new_tokens": Choice(20, TRIALS),
            "batch_size": Choice(4, LAB),
            "optimizer.warmup_steps": Choice(5, LAB),
        },
    ),
    "sdpo/paper": Preset(
        "the same as published: 8 attempts a prompt, EMA teacher, JSD on 100 tokens and a tail",
        {
            **_SDPO,
            "optimizer.max_grad_norm": Choice(1.0, SDPO_PAPER),
            "optimizer.weight_decay": Choice(0.01, SDPO_PAPER),
        },
    ),
    "reinvoke/small-model": Preset(
        "after SFT: back towards the base on general prompts, by reverse KL (set start_from)",
        _REINVOKE,
    ),
}

DEFAULT_PRESETS: Final[Mapping[str, str]] = {
    method: f"{method}/small-model"
    for method in ("sft", "dft", "ssd", "sdft", "opsd", "sdpo", "reinvoke")
}
