"""What a launch would do: its estimate, its differences, and the same from a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any, Final

import yaml

from app.pages.launch_form import SETTINGS, Form, Mistakes, field_of, read_form, sentence
from app.pages.launch_start import changes, settings_query
from backend.config import RunConfig
from backend.errors import SdlabError
from backend.lab import Lab
from backend.method_checks import warnings
from backend.methods import PRESETS, chosen

BASELINE_METHOD: Final = "sft"
# Settings that the command line has options for.
_OPTIONS: Final = {"steps": "--steps", "seed": "--seed", "name": "--name",
                   "start_from": "--start-from"}  # fmt: skip


def configure(lab: Lab, form: Form) -> tuple[list[RunConfig], Mistakes]:
    """The run and, if asked for, its baseline; none of them where there are mistakes."""
    document, mistakes = read_form(form)
    if mistakes:
        return [], mistakes
    try:
        return lab.configure(document, baseline=BASELINE_METHOD if form.baseline else None), {}
    except SdlabError as error:
        return [], {field_of(error, document["task"]): sentence(error)}


def estimates(
    lab: Lab, configs: Sequence[RunConfig], *, forced: bool
) -> tuple[list[dict[str, Any]], Mistakes]:
    """What each run will take, in words; where one cannot work here, why."""
    found: list[dict[str, Any]] = []
    for config in configs:
        try:
            document = lab.estimate(config, forced=forced)
        except SdlabError as error:
            return found, {field_of(error, config.task): sentence(error)}
        except OverflowError:
            return found, {SETTINGS: "a number is too large to reckon with; lower it"}
        found.append({"method": config.method, "words": document["words"]})
    return found, {}


def plan_document(
    config: RunConfig, task: str, *, baseline: bool, found: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """The value of the plan view; ``query`` is what the address should hold from now on."""
    return {
        "preset": config.method,
        "summary": PRESETS[config.method].summary,
        "differences": [
            {"key": key, "preset": _in_line(theirs), "run": _in_line(ours)}
            for key, theirs, ours in changes(config)
        ],
        "choices": [
            {
                "key": each.key,
                "preset": _in_line(each.preset),
                "source": each.source,
                "changed": each.is_changed,
            }
            for each in chosen(config)
            if each.source
        ],
        "warnings": warnings(config),
        "estimates": list(found),
        "task": config.task,
        "command": command(config, baseline=baseline),
        "yaml": config.as_yaml(),
        "file_command": shlex.join(["sdlab", "train", "run.yaml", *_baseline(baseline), "--wait"]),
        "query": {
            "task": task,
            "model": config.model,
            "method": config.method,
            "set": settings_query(config),
            "baseline": "1" if baseline else "",
            "from": "",
        },
    }


def command(config: RunConfig, *, baseline: bool) -> str:
    """The command line that queues the same run."""
    words = ["sdlab", "train", "--task", config.task, "--method", config.method]
    words += ["--model", config.model]
    for key, _, value in changes(config):
        if key in _OPTIONS and value is not None:
            words += [_OPTIONS[key], str(value)]
        else:
            words += ["--set", f"{key}={_in_line(value)}"]
    words += ["--anyway"] if config.anyway else []
    return shlex.join([*words, *_baseline(baseline), "--wait"])


def _baseline(wanted: bool) -> list[str]:
    return ["--baseline", BASELINE_METHOD] if wanted else []


def _in_line(value: Any) -> str:
    """A value as YAML in one line."""
    text = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=10**6
    )
    return text.strip().removesuffix("...").strip()
