"""From a method's name to a run's configuration: presets resolved, overridden and compared."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from backend.config import RunConfig
from backend.documents import validate
from backend.errors import ConfigError
from backend.method_checks import check
from backend.presets import DEFAULT_PRESETS, FULL_LEARNING_RATE, PRESETS, Choice, Preset

__all__ = ["DEFAULT_PRESETS", "PRESETS", "Choice", "Preset", "check"]


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
_WHOLE: Final = frozenset({"source", "max_new_tokens", "nll_share"})


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


@dataclass(frozen=True)
class Chosen:
    """One setting of a run: its value, the preset's with its source, and whether they differ."""

    key: str
    value: Any
    preset: Any
    source: str

    @property
    def is_changed(self) -> bool:
        return bool(self.value != self.preset)


def chosen(config: RunConfig) -> list[Chosen]:
    """The choices that the run's preset makes, then what the run changes besides."""
    plain = flat(resolve({"method": config.method, "task": config.task}).as_document())
    ours, choices = flat(config.as_document()), PRESETS[config.method].choices
    changed = [key for key, _, _ in differences(config) if key not in choices]
    made = [Chosen(key, ours[key], plain[key], choice.source) for key, choice in choices.items()]
    return made + [Chosen(key, ours[key], plain.get(key), "") for key in changed]
