"""The launch form: from a configuration to its fields and back; mistakes beside their fields."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from app.cli import sdlab
from app.pages.launch_form import FIELDS, SETTINGS, Form, field_values, read_form, read_length
from app.pages.launch_plan import command, configure, estimates, plan_document
from app.pages.launch_start import changes, settings_query, start, switch_preset
from backend.config import RunConfig, Schedule
from backend.errors import ConfigError
from backend.lab import Lab
from backend.methods import PRESETS, resolve

AddTask = Callable[..., str]
BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nname: *b\n"
CHANGED: tuple[dict[str, Any], ...] = (
    {},
    {"steps": 7, "seed": 3, "batch_size": 4, "name": 'it\'s: #1, a "name"'},
    {"rollout": {"source": {"demonstration": 0.5, "student": "rest"}, "max_new_tokens": 12}},
    {"rollout": {"max_new_tokens": {"from": 4, "to": 9.5, "over": 3}, "temperature": 0.7}},
    {"evaluate": {"every": 2, "probes": ["task", "prior:facts"], "premise": False}},
    {"adapter": {"targets": ["q_proj", "v_proj"], "rank": 4}, "optimizer": {"learning_rate": 1e-5}},
)


def form(config: RunConfig, *, baseline: bool = False, **changed: Any) -> Form:
    """The form that shows ``config``, with other values in the fields of some settings."""
    *values, settings = field_values(config)
    shown = Form(tuple(values), settings, baseline=baseline, anyway=False)
    for key, value in changed.items():
        shown = shown.replaced(key.replace("__", "."), value)
    return shown


@pytest.fixture
def config(lab: Lab, add_task: AddTask, model: str) -> RunConfig:
    return lab.configure({"task": add_task(), "model": model, "method": "sdft"})[0]


@pytest.mark.parametrize(
    ("method", "changed"),
    [
        (method, changed)
        for method, preset in PRESETS.items()
        for changed in CHANGED
        # General prompts have no demonstration to take as a rollout.
        if "rollout.prompts" not in preset.choices or "rollout" not in changed
    ],
)
def test_a_configuration_goes_through_the_form_unchanged(
    method: str, changed: dict[str, Any]
) -> None:
    config = resolve({"task": "lights", "method": method, **changed})
    document, mistakes = read_form(form(config))
    assert mistakes == {}
    assert resolve(document) == config


@pytest.mark.parametrize("changed", CHANGED, ids=range(len(CHANGED)))
@pytest.mark.parametrize("baseline", [False, True])
def test_the_terminal_does_the_same_as_the_page(
    lab: Lab, config: RunConfig, tmp_path: Path, changed: dict[str, Any], baseline: bool
) -> None:
    """Both the command and the file, as a person would copy them."""
    chosen = {"task": config.task, "model": config.model, "method": "sdft", **changed}
    configs = lab.configure(chosen, baseline="sft" if baseline else None)
    document = plan_document(configs[0], "lights", baseline=baseline, found=[])
    file = tmp_path / "run.yaml"
    file.write_text(document["yaml"], "utf-8")
    for line in (document["command"], document["file_command"].replace("run.yaml", str(file))):
        words = shlex.split(line)
        assert (words[0], words[-1]) == ("sdlab", "--wait")
        ended = CliRunner(env={"SDLAB_HOME": str(lab.settings.home)}).invoke(
            sdlab, [*words[1:-1], "--json"]
        )
        assert ended.exit_code == 0, ended.output
        queued = json.loads(ended.stdout)
        runs = queued if baseline else [queued]
        assert [run["config"] for run in runs] == [each.as_document() for each in configs]


@pytest.mark.parametrize(
    ("changed", "field", "found"),
    [
        ({"task": "none"}, "launch-task", 'no task "none" (tasks: lights); add it under Tasks'),
        ({"task": "lights@9"}, "launch-task", 'task "lights" has no version "9"'),
        ({"task": None}, "launch-task", "no task is chosen"),
        ({"model": "../../etc"}, "launch-model", "has no config.json"),
        ({"model": "bundled:../../etc"}, "launch-model", "no bundled model"),
        ({"model": "/etc"}, "launch-model", "has no config.json"),
        ({"model": ""}, "launch-model", "no model is chosen"),
        ({"method": "forged"}, "launch-preset", 'no method "forged"'),
        ({"method": ["sdft"]}, "launch-preset", "there is no method"),
        ({"steps": 0}, "launch-steps", '"steps" is 0'),
        ({"steps": 2.5}, "launch-steps", "fractional part"),
        ({"steps": None}, "launch-steps", "no number is given; give one"),
        ({"steps": "many"}, "launch-steps", "valid integer"),
        ({"steps": 1e300}, "launch-steps", "less than or equal to"),
        ({"seed": 1e300}, "launch-seed", "less than or equal to"),
        ({"batch_size": 1e300}, "launch-batch-size", "less than or equal to"),
        ({"batch_size": -1}, "launch-batch-size", '"batch_size" is -1'),
        ({"optimizer__learning_rate": 0}, "launch-learning-rate", "greater than 0"),
        ({"rollout__max_new_tokens": "5 to"}, "launch-max-new-tokens", '"5 to" is no length'),
        ({"rollout__max_new_tokens": "0"}, "launch-max-new-tokens", "greater than or equal to 1"),
        ({"evaluate__every": -5}, "launch-evaluate-every", "greater than or equal to 0"),
        ({"seed": -1}, "launch-seed", "greater than or equal to 0"),
        ({"devices": 2}, "launch-devices", "wants 2 devices, and this lab has 1; set devices to 1"),
        ({"devices": 9}, "launch-devices", "a step has 8 rows to share"),
        ({"devices": 0}, "launch-devices", "greater than or equal to 1"),
        ({"name": "x" * 500}, "launch-name", "at most 200 characters"),
    ],
)
def test_a_mistake_stands_beside_its_field(
    lab: Lab,
    config: RunConfig,
    changed: dict[str, Any],
    field: str,
    found: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir("/usr/share")  # from where ../../etc is a folder
    configs, mistakes = configure(lab, form(config, **changed))
    assert configs == []
    assert list(mistakes) == [field]
    assert found in mistakes[field]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("adaptor: {rank: 4}", 'unknown setting "adaptor"'),
        ("adapter: {rang: 4}", 'unknown setting "adapter.rang"'),
        ("adapter: {rank: 0}", '"adapter.rank" is 0'),
        ("steps: 5", '"steps" has a field of its own; set it there'),
        ("optimizer: {learning_rate: 1}", '"optimizer.learning_rate" has a field of its own'),
        ("optimizer: 5", '"optimizer" is a value, not a group of settings'),
        ("teacher: {context: none}", 'no context "none"'),
        ("teacher: {weights: none}", "compares with a teacher"),
        ("evaluate: {probes: ['task:none']}", 'there is no task "none"'),
        ("evaluate: {probes: [none]}", 'no probe "none"'),
        ("start_from: none", 'no run "none"'),
        ("- a", "expected settings like"),
        ("a: [", "line 1: not valid YAML"),
        (BOMB, "there is an alias (*); write the value out"),
        ("stop_when: " + "[" * 6000, "too many brackets"),
        ("stop_when:\n" + "- " * 3900, "a value cannot be read"),
        ("name: 2026-13-45", "a value cannot be read"),
        ("x" * 30_000, "the text is too long"),
    ],
    ids=range(18),
)
def test_a_mistake_in_the_other_settings_stands_beside_them(
    lab: Lab, config: RunConfig, text: str, found: str
) -> None:
    shown = form(config)
    configs, mistakes = configure(lab, Form(shown.values, text, baseline=False, anyway=False))
    assert configs == []
    assert list(mistakes) == [SETTINGS]
    assert found in mistakes[SETTINGS]


def test_mistakes_of_several_fields_are_told_together(lab: Lab, config: RunConfig) -> None:
    changed = form(config, steps=None, rollout__max_new_tokens="", task="")
    _, mistakes = configure(lab, Form(changed.values, "a: [", baseline=False, anyway=False))
    assert set(mistakes) == {"launch-steps", "launch-max-new-tokens", "launch-task", SETTINGS}


def test_supervised_fine_tuning_is_no_baseline_of_its_own(lab: Lab, config: RunConfig) -> None:
    sft = lab.configure({"task": config.task, "model": config.model, "method": "sft"})[0]
    _, mistakes = configure(lab, form(sft, baseline=True))
    assert list(mistakes) == ["launch-baseline"]


def test_what_cannot_work_here_is_told_at_the_field_that_helps(lab: Lab, config: RunConfig) -> None:
    (known,), mistakes = estimates(lab, [config], forced=False)
    assert mistakes == {}
    assert "of memory" in known["words"]
    (long,) = lab.configure({**config.as_document(), "steps": 10**9})
    found, mistakes = estimates(lab, [long], forced=False)
    assert (found, list(mistakes)) == ([], ["launch-steps"])
    assert mistakes["launch-steps"].endswith('or tick "Launch anyway"')
    assert estimates(lab, [long], forced=True)[1] == {}
    rank = {"rank": 10**400}
    (huge,) = lab.configure({**config.as_document(), "adapter": rank})
    assert list(estimates(lab, [huge], forced=True)[1]) == [SETTINGS]
    large = config.model_copy(update={"model": "org/some-405b-model"})
    assert list(estimates(lab, [large], forced=True)[1]) == ["launch-model"]


@pytest.mark.parametrize("method", PRESETS)
def test_all_that_a_preset_chooses_is_listed_with_its_source(method: str) -> None:
    config = resolve({"task": "lights", "method": method})
    listed = plan_document(config, "lights", baseline=False, found=[])["choices"]
    choices = PRESETS[method].choices
    assert [each["key"] for each in listed] == list(choices)
    assert [each["source"] for each in listed] == [choice.source for choice in choices.values()]
    assert not any(each["changed"] for each in listed)


def test_a_choice_that_the_run_makes_anew_is_marked(config: RunConfig) -> None:
    changed = config.teacher.model_copy(update={"rate": 0.5})
    document = plan_document(
        config.model_copy(update={"teacher": changed}), "lights", baseline=False, found=[]
    )
    marked = [(each["key"], each["preset"]) for each in document["choices"] if each["changed"]]
    assert marked == [("teacher.rate", "0.02")]


def test_only_differences_from_the_preset_are_listed(config: RunConfig) -> None:
    assert plan_document(config, "lights", baseline=False, found=[])["differences"] == []
    other = resolve({**config.as_document(), "steps": 9, "adapter": {"rank": 4}})
    listed = plan_document(other, "lights", baseline=False, found=[])["differences"]
    assert listed == [
        {"key": "steps", "preset": "60", "run": "9"},
        {"key": "adapter.rank", "preset": "16", "run": "4"},
    ]
    assert "--steps 9 --set adapter.rank=4" in command(other, baseline=False)


@pytest.mark.parametrize("changed", CHANGED, ids=range(len(CHANGED)))
def test_the_address_brings_the_form_back(
    lab: Lab, config: RunConfig, changed: dict[str, Any]
) -> None:
    chosen = resolve({**config.as_document(), **_merged(config, changed)})
    query = {"task": chosen.task, "model": chosen.model, "method": chosen.method}
    found, problem = start(lab, {**query, "set": settings_query(chosen)})
    assert problem == ""
    assert found == chosen


def test_the_address_of_a_run_brings_its_configuration(lab: Lab, config: RunConfig) -> None:
    (run,) = lab.train([config.model_copy(update={"steps": 5})])
    assert start(lab, {"from": run})[0] == config.model_copy(update={"steps": 5})
    premise = lab.premise({"task": "lights", "model": config.model})
    found, _ = start(lab, {"from": premise})
    assert (found.task, found.model) == ("lights@1", config.model)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"from": "none"}, 'no run "none"'),
        ({"method": "forged"}, 'no method "forged"'),
        ({"set": "{"}, "cannot be read"),
        ({"set": "[1]"}, "cannot be read"),
        ({"set": "[" * 9000}, "cannot be read"),
        ({"set": "x" * 30_000}, "cannot be read"),
        ({"set": '{"steps": "x"}'}, '"steps" is'),
        ({"set": '{"forged.key": 1}'}, "unknown setting"),
        ({"set": '{"steps.more": 1}'}, '"steps" is'),
    ],
    ids=range(9),
)
def test_an_address_that_means_nothing_is_answered_and_the_form_stands(
    lab: Lab, add_task: AddTask, query: dict[str, str], found: str
) -> None:
    config, problem = start(lab, {"task": add_task(), **query})
    assert found in problem
    assert (config.task, config.method, changes(config)) == ("lights", "sdft/small-model", [])


def test_the_form_stands_in_a_lab_without_tasks(lab: Lab) -> None:
    config, problem = start(lab, {})
    assert problem == ""
    _, mistakes = configure(lab, form(config))
    assert list(mistakes) == ["launch-task"]


def test_another_preset_keeps_what_is_no_choice_of_a_method(config: RunConfig) -> None:
    changed = resolve(
        {**config.as_document(), "steps": 9, "optimizer": {"learning_rate": 1e-2}, "seed": 4}
    )
    other = switch_preset(changed, "sft/careless")
    assert (other.method, other.steps, other.seed) == ("sft/careless", 9, 4)
    assert (
        other.optimizer.learning_rate
        == PRESETS["sft/careless"].choices["optimizer.learning_rate"].value
    )
    assert other.rollout.source == {"demonstration": "rest"}


@pytest.mark.parametrize(
    ("text", "value"),
    [("64", 64), ("8 to 20 over 50", Schedule.model_validate({"from": 8, "to": 20, "over": 50})),
     (" 1 to 2.5 over 3 steps", Schedule.model_validate({"from": 1, "to": 2.5, "over": 3}))],
)  # fmt: skip
def test_a_length_is_a_number_or_a_schedule(text: str, value: int | Schedule) -> None:
    found = read_length(text)
    assert (Schedule.model_validate(found) if isinstance(found, dict) else found) == value


@pytest.mark.parametrize("text", ["", "-1", "6.5", "8 to 20", "a to b over c", "1e3", "9" * 40])
def test_anything_else_is_no_length(text: str) -> None:
    with pytest.raises(ConfigError, match="length"):
        read_length(text)


def test_every_field_holds_a_setting_that_there_is(config: RunConfig) -> None:
    values = dict(zip(FIELDS.values(), field_values(config), strict=False))
    assert None not in values.values()


def _merged(config: RunConfig, changed: dict[str, Any]) -> dict[str, Any]:
    document = config.as_document()
    return {
        key: {**document[key], **value} if isinstance(value, dict) else value
        for key, value in changed.items()
    }
