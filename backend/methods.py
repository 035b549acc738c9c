"""The zoo of methods as values: a preset is a set of choices, and each choice carries its source.

Every method minimises, over the completion tokens, ``sum_t w_t * D(target_t || student_t)``;
five choices say which method it is: rollout source, teacher context, teacher weights, divergence
and token weights.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from backend.config import RunConfig
from backend.documents import validate
from backend.errors import ConfigError

SDFT_PAPER = "SDFT, arXiv 2601.19897"
SDFT_ISSUE_5 = "idanshen/Self-Distillation issue 5: published numbers used forward KL"
TRIALS = "sdlab trials with SmolLM2-135M-Instruct, docs/trials.md"
FIELD = "common practice for supervised fine-tuning"
LAB = "sdlab"


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


_SFT_CHOICES: Final = {
    "rollout.source": Choice("demonstration", FIELD),
    "rollout.max_new_tokens": Choice(256, LAB),
    "teacher.weights": Choice("none", FIELD),
    "divergence.kind": Choice("nll", FIELD),
    "token_weights.skip_first": Choice(0, FIELD),
    "token_weights.average": Choice("sequence", LAB),
}

_SDFT_PAPER_CHOICES: Final = {
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

# In place of a preset's rate, which is an adapter's, where all weights are trained.
FULL_LEARNING_RATE: Final = Choice(1e-5, SDFT_PAPER + " (5e-6, 1e-5 or 5e-5)")

PRESETS: Final[Mapping[str, Preset]] = {
    "sft/small-model": Preset(
        "supervised fine-tuning on the demonstrations, at a careful learning rate",
        {**_SFT_CHOICES, "optimizer.learning_rate": Choice(1e-4, TRIALS)},
    ),
    "sft/careless": Preset(
        "supervised fine-tuning at a learning rate that forgets",
        {**_SFT_CHOICES, "optimizer.learning_rate": Choice(3e-4, TRIALS)},
    ),
    "sdft/small-model": Preset(
        "self-distillation for models of some hundred million parameters: clean prefixes first",
        {
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
        },
    ),
    "sdft/paper": Preset(
        "self-distillation as its published numbers were made: forward KL, EMA teacher, skip 3",
        _SDFT_PAPER_CHOICES,
    ),
    "sdft/paper-equations": Preset(
        "self-distillation as the paper's equations have it: reverse KL",
        {**_SDFT_PAPER_CHOICES, "divergence.kind": Choice("reverse_kl", SDFT_PAPER)},
    ),
}

DEFAULT_PRESETS: Final[Mapping[str, str]] = {
    "sft": "sft/small-model",
    "sdft": "sdft/small-model",
}


def preset_name(method: str) -> str:
    """The preset that ``method`` (``sdft`` or ``sdft/paper``) names. Raises ConfigError."""
    name = DEFAULT_PRESETS.get(method, method)
    if name not in PRESETS:
        near = difflib.get_close_matches(method, [*DEFAULT_PRESETS, *PRESETS], n=1, cutoff=0.4)
        hint = f'; did you mean "{near[0]}"?' if near else ""
        raise ConfigError(
            f'there is no method "{method}"{hint}',
            where="method",
            remedy=f"choose one of {', '.join([*DEFAULT_PRESETS, *PRESETS])}",
        )
    return name


def resolve(document: Mapping[str, Any], where: str = "configuration") -> RunConfig:
    """The full configuration: the preset's choices, overridden by what ``document`` sets.

    Raises ConfigError for unknown methods and settings, bad values, and choices that contradict
    each other.
    """
    if not isinstance(document.get("method"), str):
        raise ConfigError('"method" is missing', where=where, remedy="add one, such as sdft")
    name = preset_name(document["method"])
    merged: dict[str, Any] = {}
    for key, choice in PRESETS[name].choices.items():
        set_dotted(merged, key, choice.value)
    if _trains_all_weights(document):
        set_dotted(merged, "optimizer.learning_rate", FULL_LEARNING_RATE.value)
    _overlay(merged, document)
    merged["method"] = name
    config = validate(RunConfig, merged, where)
    check(config, where)
    return config


def _trains_all_weights(document: Mapping[str, Any]) -> bool:
    adapter = document.get("adapter")
    return isinstance(adapter, Mapping) and adapter.get("full") is True


# What makes a method: a baseline takes its own preset's choices here, and all else from the run.
_METHOD_GROUPS: Final = ("rollout", "teacher", "divergence", "token_weights")


def matched_baseline(config: RunConfig, method: str) -> RunConfig:
    """The run to compare ``config`` with: ``method``'s choices and rate, all else equal.

    Rows, order, seed, steps, batch, adapter, schedule, clipping, evaluation and traces are the
    run's own; so is the rate where all weights are trained, as presets have an adapter's. Raises
    ConfigError for an unknown method.
    """
    shared = {
        key: value
        for key, value in config.as_document().items()
        if key not in (*_METHOD_GROUPS, "name", "method")
    }
    choices = PRESETS[preset_name(method)].choices
    rate = choices.get("optimizer.learning_rate")
    if rate is not None and not config.adapter.full:
        shared["optimizer"] = {**shared["optimizer"], "learning_rate": rate.value}
    return resolve({**shared, "method": method})


def set_dotted(document: dict[str, Any], key: str, value: Any) -> None:
    """Puts ``value`` at the dotted ``key`` of a nested mapping."""
    *parents, leaf = key.split(".")
    for depth, parent in enumerate(parents):
        inner = document.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise ConfigError(
                f'"{".".join(parents[: depth + 1])}" is a value, not a group of settings',
                where=key,
                remedy="set one of its own settings",
            )
        document = inner
    document[leaf] = value


# A mapping under these keys is one value: a schedule or a mixture replaces the preset's whole.
_WHOLE: Final = frozenset({"source", "max_new_tokens"})


def _overlay(base: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), dict) and key not in _WHOLE:
            _overlay(base[key], value)
        else:
            base[key] = value


def overlaid(document: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``document`` with ``changes`` in it, group by group, as a run's settings overlay a preset."""
    merged = copy.deepcopy(dict(document))
    _overlay(merged, changes)
    return merged


def method_of(config: RunConfig) -> str:
    """The short name of a run's method: ``sdft`` of ``sdft/small-model``."""
    return config.method.split("/")[0]


def differences(config: RunConfig) -> list[tuple[str, Any, Any]]:
    """(key, the preset's value, the run's value) where a run departs from its preset."""
    plain = resolve({"method": config.method, "task": config.task})
    theirs, ours = flat(plain.as_document()), flat(config.as_document())
    return [(key, theirs[key], ours[key]) for key in ours if theirs.get(key) != ours[key]]


def flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings under dotted names; a schedule or a mixture of sources is one value."""
    values: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, Mapping) and key not in _WHOLE:
            values |= flat(value, f"{prefix}{key}.")
        else:
            values[prefix + key] = value
    return values


def check(config: RunConfig, where: str = "configuration") -> None:
    """Raises ConfigError, naming both parts, where two choices contradict each other."""
    compares = config.divergence.kind != "nll"
    has_teacher = config.teacher.weights != "none"
    if compares and not has_teacher:
        _refuse(
            where,
            f"divergence.kind {config.divergence.kind} compares with a teacher, "
            "but teacher.weights is none",
            "choose teacher.weights base, live or ema, or divergence.kind nll",
        )
    if has_teacher and not compares:
        _refuse(
            where,
            f"divergence.kind nll has no teacher, but teacher.weights is {config.teacher.weights}",
            "choose teacher.weights none, or a divergence that compares",
        )
    if config.teacher.context == "template" and config.teacher.template is None:
        _refuse(
            where,
            "teacher.context is template, but teacher.template is missing",
            "add a template with {prompt} and {demonstration}",
        )
    if not has_teacher and config.token_weights.stop_below > 0:
        _refuse(
            where,
            f"token_weights.stop_below {config.token_weights.stop_below} reads the teacher's "
            "probabilities, but teacher.weights is none",
            "set stop_below to 0, or choose a teacher",
        )
    if not has_teacher and "teacher" in config.rollout.source:
        _refuse(
            where,
            "rollout.source teacher samples from the teacher, but teacher.weights is none",
            "choose another source, or a teacher",
        )


def _refuse(where: str, message: str, remedy: str) -> None:
    raise ConfigError(message, where=where, remedy=remedy)
