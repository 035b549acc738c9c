"""What the launch form begins with: an address, a run to do again, or another preset."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from app.components.looks import Query
from app.pages.launch_form import sentence
from backend.config import DEFAULT_MODEL, RunConfig
from backend.errors import ConfigError, SdlabError
from backend.lab import Lab
from backend.methods import PRESETS, differences, resolve, set_dotted

DEFAULT_METHOD: Final = "sdft/small-model"
# Stands in the address and the fields, or has a checkbox, and not among the settings.
_APART: Final = frozenset({"task", "model", "method", "anyway"})
_LONGEST: Final = 20_000
# A configuration needs a task; nobody can have named one so.
NO_TASK: Final = " "


def start(lab: Lab, query: Query) -> tuple[RunConfig, str]:
    """The configuration that the page's address means, and what is wrong with the address."""
    first = next(iter(lab.views.task_names()), NO_TASK)
    plain = {
        "task": query.get("task") or first,
        "model": query.get("model") or DEFAULT_MODEL,
        "method": DEFAULT_METHOD,
    }
    try:
        if query.get("from"):
            return resolve({**plain, **_of_run(lab, query["from"])}), ""
        chosen = {**plain, "method": query.get("method") or DEFAULT_METHOD}
        return resolve(_with_settings(chosen, query.get("set", ""))), ""
    except SdlabError as error:
        return resolve(plain), f"The address of this page is not understood: {sentence(error)}"


def settings_query(config: RunConfig) -> str:
    """The settings that differ from the preset, as they stand in the address; "" for none."""
    changed = {key: ours for key, _, ours in changes(config)}
    return json.dumps(changed, separators=(",", ":"), ensure_ascii=False) if changed else ""


def changes(config: RunConfig) -> list[tuple[str, Any, Any]]:
    """(key, the preset's value, this run's value) of each setting that differs."""
    return [each for each in differences(config) if each[0] not in _APART]


def switch_preset(config: RunConfig, method: str) -> RunConfig:
    """Another preset, under the settings that were changed and that neither preset chooses."""
    chosen = {*PRESETS[config.method].choices, *PRESETS[method].choices}
    document: dict[str, Any] = {"task": config.task, "model": config.model, "method": method}
    for key, _, ours in changes(config):
        if key not in chosen:
            set_dotted(document, key, ours)
    return resolve(document)


def _of_run(lab: Lab, name: str) -> Mapping[str, Any]:
    """A run's whole configuration; task and model of a job of another kind."""
    run = lab.run(name)
    if run["kind"] == "train":
        config: Mapping[str, Any] = run["config"]
        return config
    return {key: run["config"][key] for key in ("task", "model") if run["config"].get(key)}


def _with_settings(document: dict[str, Any], text: str) -> dict[str, Any]:
    if not text:
        return document
    try:
        changed = json.loads(text) if len(text) < _LONGEST else None
    except (ValueError, RecursionError):
        changed = None
    if not isinstance(changed, dict):
        raise ConfigError("the settings in the address cannot be read", where="address")
    for key, value in changed.items():
        set_dotted(document, key, value)
    return document
