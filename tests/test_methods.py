"""Methods as values: presets resolve, choices have sources, contradictions are refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from backend.config import RunConfig
from backend.documents import parse_yaml
from backend.errors import ConfigError
from backend.method_checks import warnings
from backend.methods import (
    DEFAULT_PRESETS,
    PRESETS,
    Choice,
    check,
    chosen,
    differences,
    flat,
    matched_baseline,
    method_of,
    preset_name,
    resolve,
    set_dotted,
)

every_preset = pytest.mark.parametrize("name", PRESETS)


def document(method: str = "sdft", **settings: Any) -> dict[str, Any]:
    """What a user writes; settings are dotted names, with ``__`` for the dot."""
    made: dict[str, Any] = {"task": "tiny", "method": method}
    for key, value in settings.items():
        set_dotted(made, key.replace("__", "."), value)
    return made


@every_preset
def test_every_preset_resolves_to_its_own_choices(name: str) -> None:
    config = resolve(document(name))
    assert config.method == name
    values = flat(config.as_document())
    for key, choice in PRESETS[name].choices.items():
        expected = (
            {choice.value: "rest"}
            if key == "rollout.source" and isinstance(choice.value, str)
            else choice.value
        )
        assert values[key] == expected
    assert differences(config) == []


@every_preset
def test_every_choice_names_its_source(name: str) -> None:
    preset = PRESETS[name]
    assert preset.summary
    for key, choice in preset.choices.items():
        assert isinstance(choice, Choice)
        assert choice.source.strip(), key


@every_preset
def test_every_preset_makes_all_five_choices(name: str) -> None:
    """Rollout source, context, teacher weights, divergence and token weights."""
    choices = PRESETS[name].choices
    assert {"rollout.source", "teacher.weights", "divergence.kind"} <= choices.keys()
    assert {"token_weights.skip_first", "token_weights.average"} <= choices.keys()
    assert ("teacher.context" in choices) == (choices["teacher.weights"].value != "none")


@every_preset
def test_a_configuration_survives_yaml(name: str) -> None:
    config = resolve(document(name, seed=3, adapter__targets=["q_proj", "v_proj"]))
    read = parse_yaml(config.as_yaml(), "run.yaml")
    assert resolve(read) == config
    assert RunConfig.model_validate(read) == config


def test_short_names_mean_their_default_presets() -> None:
    for short, name in DEFAULT_PRESETS.items():
        assert preset_name(short) == name
        assert resolve(document(short)) == resolve(document(name))
        assert method_of(resolve(document(short))) == short


def test_published_methods_have_their_published_choices() -> None:
    """Shared methods.md: forward KL as published, reverse KL as written; both EMA and skip 3."""
    paper, equations = (resolve(document(f"sdft/{n}")) for n in ("paper", "paper-equations"))
    assert paper.divergence.kind == "forward_kl"
    assert equations.divergence.kind == "reverse_kl"
    for config in (paper, equations):
        assert config.rollout.source == {"student": "rest"}
        assert (config.teacher.weights, config.teacher.context) == ("ema", "paper")
        assert config.teacher.rate in (0.01, 0.02, 0.05)
        assert config.token_weights.skip_first == 3
        assert config.rollout.temperature == 1.0
    small = resolve(document("sdft/small-model"))
    assert small.token_weights.skip_first == 0
    assert small.teacher.context == "earlier-turn-twice"


def test_what_a_user_sets_overrides_the_preset() -> None:
    config = resolve(document(teacher__rate=0.5, steps=7, optimizer__learning_rate=1e-5))
    preset = resolve(document())
    assert differences(config) == [
        ("steps", preset.steps, 7),
        ("teacher.rate", preset.teacher.rate, 0.5),
        ("optimizer.learning_rate", preset.optimizer.learning_rate, 1e-5),
    ]
    assert config.teacher.context == preset.teacher.context


WHOLE_VALUES = [
    ("rollout.source", "student", {"student": "rest"}),
    ("rollout.source", {"teacher": 0.3, "student": "rest"}, {"teacher": 0.3, "student": "rest"}),
    ("rollout.max_new_tokens", 12, 12),
    (
        "rollout.max_new_tokens",
        {"from": 4, "to": 9, "over": 3},
        {"from": 4.0, "to": 9.0, "over": 3},
    ),
]


@pytest.mark.parametrize(("key", "value", "expected"), WHOLE_VALUES)
def test_a_schedule_or_mixture_replaces_the_presets_whole(
    key: str, value: Any, expected: Any
) -> None:
    config = resolve(document(**{key: value}))
    assert flat(config.as_document())[key] == expected
    assert [changed for changed, _, _ in differences(config)] == [key]


def test_half_a_schedule_takes_nothing_from_the_presets() -> None:
    with pytest.raises(ConfigError, match=r"rollout\.max_new_tokens"):
        resolve(document(rollout__max_new_tokens={"from": 3}))
    with pytest.raises(ConfigError, match="exactly one source takes the rest"):
        resolve(document(rollout__source={"student": 0.5}))


def test_resolving_leaves_the_presets_alone() -> None:
    before = copy.deepcopy(PRESETS)
    resolve(document(rollout__source={"teacher": 0.3, "student": "rest"}, teacher__rate=1.0))
    assert before == PRESETS


CONTRADICTIONS = [
    # Settings, and the two parts that the message must name.
    (document("sdft", teacher__weights="none"), "divergence.kind forward_kl", "teacher.weights"),
    (document("sdft", divergence__kind="nll"), "divergence.kind nll", "teacher.weights is ema"),
    (document("sft", teacher__weights="live"), "divergence.kind nll", "teacher.weights is live"),
    (document("sft", divergence__kind="jsd"), "divergence.kind jsd", "teacher.weights is none"),
    (document("sdft", teacher__context="template"), "teacher.context", "teacher.template"),
    (
        document("sft", token_weights__stop_below=0.1),
        "token_weights.stop_below 0.1",
        "teacher.weights is none",
    ),
    (document("sft", rollout__source="teacher"), "rollout.source teacher", "teacher.weights"),
    (document("sdft", teacher__weights="run"), "teacher.weights is run", "teacher.run is missing"),
    (document("sdft", teacher__run="a1"), "teacher.weights is ema", "teacher.run is a1"),
    (document("sdpo", rollout__per_prompt=1), "sibling-or-feedback", "rollout.per_prompt is 1"),
    (document("sdpo", rollout__source="teacher"), "rollout.source teacher", "teacher.context"),
    (
        document("sdft", token_weights__by_probability=True),
        "token_weights.by_probability",
        "divergence.kind nll",
    ),
    (document("sft", divergence__clip=0.1), "divergence.kind nll", "divergence.clip is 0.1"),
    (document("sft", divergence__support="student-top-k"), "kind nll", "divergence.support"),
    (document("sft", divergence__nll_share=0.1), "divergence.kind nll", "divergence.nll_share"),
    (
        document("sdft", divergence__support="sampled-token"),
        "divergence.support sampled-token",
        "divergence.kind is forward_kl",
    ),
    (
        document("sdft/paper-equations", divergence__support="sampled-token", rollout__top_p=0.9),
        "divergence.support sampled-token",
        "rollout.top_p is 0.9",
    ),
    (
        document("sdft/paper-equations", divergence__support="sampled-token",
                 rollout__temperature=1.1),
        "divergence.support sampled-token",
        "rollout.temperature is 1.1",
    ),
    (
        document("sdft/paper-equations", divergence__support="sampled-token",
                 rollout__source="teacher"),
        "divergence.support sampled-token",
        "rollout.source has teacher",
    ),
    (
        document("sdft/paper-equations", divergence__support="sampled-token",
                 divergence__clip=1.0),
        "divergence.support sampled-token",
        "divergence.clip is 1.0",
    ),
    (document("ssd", rollout__per_prompt=2), "rollout.source sampled", "rollout.per_prompt is 2"),
    (
        document("reinvoke", rollout__source="demonstration"),
        "rollout.prompts general",
        "rollout.source",
    ),
    (document("reinvoke", teacher__context="paper"), "rollout.prompts", "teacher.context is paper"),
    (document("reinvoke", divergence__nll_share=0.1), "rollout.prompts", "divergence.nll_share"),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "one", "other"), CONTRADICTIONS)
def test_contradictory_parts_are_refused_by_both_names(
    settings: dict[str, Any], one: str, other: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(settings, where="run.yaml")
    assert one in caught.value.message
    assert other in caught.value.message
    assert caught.value.where == "run.yaml"
    assert caught.value.remedy


WARNINGS = [
    (document("opsd/paper"), "divergence.clip 0.05"),
    (document("sdpo"), "token_weights.importance_cap 2.0 changes nothing"),
    (document("sdft/trl"), "without divergence.tail"),
    (document("opsd/paper"), "rollout.top_p, top_k or min_p"),
    (document("dft"), "token_weights.by_probability"),
    (document("reinvoke", teacher__weights="live"), "teacher.weights live"),
]


@pytest.mark.parametrize(("settings", "words"), WARNINGS)
def test_what_is_known_to_go_wrong_is_said(settings: dict[str, Any], words: str) -> None:
    assert any(words in sentence for sentence in warnings(resolve(settings)))


def test_the_usual_choices_need_no_warning() -> None:
    for method in ("sft", "sdft", "sdft/paper", "ssd", "reinvoke"):
        assert warnings(resolve(document(method))) == []


@every_preset
def test_a_forms_choices_are_the_presets_with_their_sources(name: str) -> None:
    rows = chosen(resolve(document(name, seed=3, rollout__temperature=0.5)))
    assert [row.key for row in rows[: len(PRESETS[name].choices)]] == list(PRESETS[name].choices)
    assert all(row.source for row in rows if row.key in PRESETS[name].choices)
    changed = {row.key: (row.preset, row.value) for row in rows if row.is_changed}
    preset = resolve(document(name)).rollout.temperature
    assert changed == {"seed": (0, 3), "rollout.temperature": (preset, 0.5)}


def test_choices_that_fit_are_not_refused() -> None:
    for settings in (
        document("sft", rollout__source="student"),
        document("sdft", teacher__context="template", teacher__template="{prompt}{demonstration}"),
        document("sdft", rollout__source={"teacher": 0.5, "student": "rest"}),
        document("sdft", teacher__weights="base", divergence__kind="reverse_kl"),
    ):
        check(resolve(settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task": "tiny"}, '"method" is missing'),
        ({"task": "tiny", "method": 3}, '"method" is missing'),
        (document("sdtf"), 'there is no method "sdtf"; did you mean "sdft"'),
        (document("sdft/papre"), 'did you mean "sdft/paper"'),
        ({"method": "sdft"}, '"task" is missing'),
        (document(rollot=3), 'unknown setting "rollot"'),
        (document(rollout__sorce=3), r'unknown setting "rollout\.sorce"'),
        (document(teacher=3), '"teacher" is 3'),
        (document(steps=0), '"steps" is 0: input should be greater than or equal to 1'),
        (document(steps=0, seed=-1), r"\(and 1 more\)"),
    ],
)
def test_faulty_documents_are_refused_in_words(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        resolve(settings)
    assert caught.value.remedy


def test_a_setting_below_a_value_is_refused() -> None:
    settings: dict[str, Any] = {"steps": 3}
    with pytest.raises(ConfigError, match='"steps" is a value, not a group of settings'):
        set_dotted(settings, "steps.over", 3)


def test_a_matched_baseline_differs_only_in_what_makes_its_method() -> None:
    config = resolve(
        {"task": "t", "method": "sdft/paper", "steps": 7, "optimizer": {"weight_decay": 0.1}}
    )
    baseline = matched_baseline(config, "sft")
    ours, theirs = flat(config.as_document()), flat(baseline.as_document())
    different = {key for key in ours | theirs if ours.get(key) != theirs.get(key)}
    groups = {key.split(".")[0] for key in different}
    assert groups <= {"method", "rollout", "teacher", "divergence", "token_weights", "optimizer"}
    assert {key for key in different if key.startswith("optimizer")} <= {"optimizer.learning_rate"}
    assert (baseline.batch_size, baseline.steps) == (config.batch_size, 7)
    assert baseline.optimizer.weight_decay == 0.1


def test_all_weights_start_from_the_papers_rate_and_keep_it_for_a_baseline() -> None:
    """A preset's rate is an adapter's, 10 to 50 times higher than all weights bear."""
    full = resolve({"task": "t", "method": "sdft", "adapter": {"full": True}})
    assert full.optimizer.learning_rate == 1e-5
    assert ("optimizer.learning_rate", 3e-4, 1e-5) in differences(full)
    chosen = {"task": "t", "method": "sdft", "adapter": {"full": True},
              "optimizer": {"learning_rate": 2e-5}}  # fmt: skip
    assert resolve(chosen).optimizer.learning_rate == 2e-5
    baseline = matched_baseline(resolve(chosen), "sft")
    assert baseline.adapter.full
    assert baseline.optimizer.learning_rate == 2e-5
    adapter = resolve({"task": "t", "method": "sdft", "adapter": {"full": False}})
    assert adapter.optimizer.learning_rate == 3e-4
