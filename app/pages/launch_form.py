"""The launch form both ways: from a configuration to its fields, and back with every mistake."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import yaml

from backend.config import RunConfig, Schedule
from backend.documents import parse_yaml
from backend.errors import ConfigError, SdlabError
from backend.methods import set_dotted

# The elem_id of each field, and the setting that it holds.
FIELDS: Final[Mapping[str, str]] = {
    "launch-task": "task",
    "launch-model": "model",
    "launch-preset": "method",
    "launch-name": "name",
    "launch-steps": "steps",
    "launch-batch-size": "batch_size",
    "launch-learning-rate": "optimizer.learning_rate",
    "launch-max-new-tokens": "rollout.max_new_tokens",
    "launch-evaluate-every": "evaluate.every",
    "launch-seed": "seed",
    "launch-devices": "devices",
}
SETTINGS: Final = "launch-settings"
BASELINE: Final = "launch-baseline"
ANYWAY: Final = "launch-anyway"
_IDS: Final = {key: elem_id for elem_id, key in FIELDS.items()} | {"baseline": BASELINE}
_LONGEST_YAML: Final = 8_000
# The reader's time grows with the square of their depth: 6,000 took 24 s.
_MOST_BRACKETS: Final = 100
_KEY: Final = re.compile(r'(?:unknown setting )?"([a-z_]+(?:\.[a-z_]+)*)"')
_SCHEDULE: Final = re.compile(r"(\d+(?:\.\d+)?) to (\d+(?:\.\d+)?) over (\d+)(?: steps?)?")
_ADD_TASK: Final = "add it with: sdlab task add"

Mistakes = dict[str, str]


@dataclass(frozen=True)
class Form:
    """What the fields hold, in the order of FIELDS, as it came: nothing in it is trusted."""

    values: tuple[Any, ...]
    settings: Any
    baseline: bool
    anyway: bool

    def value(self, key: str) -> Any:
        """What the field of a setting holds."""
        return self.values[list(FIELDS.values()).index(key)]

    def replaced(self, key: str, value: Any) -> Form:
        """The form with another value in the field of a setting."""
        values = list(self.values)
        values[list(FIELDS.values()).index(key)] = value
        return replace(self, values=tuple(values))


def field_values(config: RunConfig) -> list[Any]:
    """A value for each of FIELDS, and the text of all other settings."""
    document = config.as_document()
    taken = [_take(document, key) for key in FIELDS.values()]
    # Each launch has its own checkbox for it, so that it is never said by a run that was copied.
    del document["anyway"]
    place = list(FIELDS.values()).index("rollout.max_new_tokens")
    taken[place] = write_length(config.rollout.max_new_tokens)
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, default_flow_style=None)
    return [*taken, text]


def read_form(form: Form) -> tuple[dict[str, Any], Mistakes]:
    """The configuration's document, and what is wrong by elem_id; later checks find the rest."""
    mistakes: Mistakes = {}

    def attempt(elem_id: str, read: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return read()
        except SdlabError as error:
            mistakes[elem_id] = sentence(error)
            return otherwise

    document: dict[str, Any] = attempt(SETTINGS, lambda: _read_settings(form.settings), {})
    for elem_id, key in FIELDS.items():
        value = attempt(elem_id, partial(_read_field, key, form.value(key)), None)
        attempt(SETTINGS, partial(set_dotted, document, key, value), None)
    if form.anyway:
        document["anyway"] = True
    if form.baseline and str(document["method"]).startswith("sft"):
        mistakes[BASELINE] = "the run is supervised fine-tuning itself: there is nothing to match"
    return document, mistakes


def field_of(error: SdlabError, task: str = "") -> str:
    """The elem_id of the field that an error is about; the other settings where it is none."""
    if error.where == "configuration":
        found = _KEY.match(error.message)
        return _IDS.get(found[1], SETTINGS) if found else SETTINGS
    # A task may also be named by a probe, far from the field for the task.
    if error.where == "task" and f'"{task.partition("@")[0]}"' not in error.message:
        return SETTINGS
    return _IDS.get(error.where, SETTINGS)


def sentence(error: SdlabError) -> str:
    """What was found and what to do; the place is where the sentence stands."""
    is_near = error.where in (*_IDS, "configuration", "settings")
    head = error.message if is_near or not error.where else f"{error.where}: {error.message}"
    remedy = "add it under Tasks" if error.remedy.startswith(_ADD_TASK) else error.remedy
    remedy = remedy.replace("or force it", 'or tick "Launch anyway"')
    remedy = remedy.replace("or launch anyway with --anyway", 'or tick "Launch anyway"')
    return f"{head}; {remedy}" if remedy else head


def write_length(value: int | Schedule) -> str:
    """``64``, or ``8 to 20 over 50`` for a length that changes over the first steps."""
    if isinstance(value, Schedule):
        return f"{value.start:g} to {value.end:g} over {value.over}"
    return str(value)


def read_length(text: str) -> int | dict[str, float]:
    """The number or schedule that :func:`write_length` writes. Raises ConfigError."""
    text = text.strip()
    if re.fullmatch(r"\d{1,9}", text):
        return int(text)
    found = _SCHEDULE.fullmatch(text)
    if found and len(text) < 60:
        return {"from": float(found[1]), "to": float(found[2]), "over": int(found[3])}
    raise ConfigError(
        f'"{text[:40]}" is no length' if text else "no length is given",
        where="rollout.max_new_tokens",
        remedy='write a number of tokens such as 64, or "8 to 20 over 50" (steps)',
    )


def _read_field(key: str, value: Any) -> Any:
    if key == "rollout.max_new_tokens":
        return read_length(str(value if value is not None else ""))
    if key in ("task", "model", "method", "name"):
        text = str(value if value is not None else "").strip()
        if not text and key != "name":
            raise ConfigError(
                f"no {_PLAIN.get(key, key)} is chosen", where=key, remedy="choose one"
            )
        return text
    if value is None or value == "":
        raise ConfigError("no number is given", where=key, remedy="give one")
    # A browser has one kind of number: 60.0 is 60, and 60.5 is for the configuration to refuse.
    return int(value) if isinstance(value, float) and value.is_integer() else value


_PLAIN: Final = {"method": "preset"}


def _read_settings(given: Any) -> dict[str, Any]:
    text = str(given if given is not None else "")
    if not text.strip():
        return {}
    if len(text) > _LONGEST_YAML:
        raise ConfigError(
            "the text is too long", where="settings", remedy="leave out what is usual"
        )
    if text.count("[") + text.count("{") > _MOST_BRACKETS:
        raise ConfigError("there are too many brackets", where="settings", remedy="leave some out")
    _refuse_aliases(text)
    document = parse_yaml(text, "settings")
    for key in FIELDS.values():
        if _take(document, key) is not None:
            raise ConfigError(
                f'"{key}" has a field of its own', where="settings", remedy="set it there"
            )
    return document


def _refuse_aliases(text: str) -> None:
    """A few aliases of aliases stand for more values than memory holds."""
    try:
        has_alias = any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text))
    except (yaml.YAMLError, ValueError, RecursionError):
        return  # parse_yaml says where and why
    if has_alias:
        raise ConfigError("there is an alias (*)", where="settings", remedy="write the value out")


def _take(document: dict[str, Any], key: str) -> Any:
    """Removes the dotted ``key`` and returns its value; None where it is not there."""
    *parents, leaf = key.split(".")
    for parent in parents:
        inner = document.get(parent)
        if not isinstance(inner, dict):
            return None
        document = inner
    return document.pop(leaf, None)
