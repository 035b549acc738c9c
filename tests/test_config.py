"""Configurations and settings: frozen, complete, and with errors that name the place."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from backend.config import RolloutConfig, RunConfig, Schedule, value_at
from backend.documents import parse_yaml, validate
from backend.errors import ConfigError
from backend.jobs.job_configs import EvaluationConfig, PremiseConfig
from backend.methods import flat, resolve, set_dotted
from backend.settings import Settings


@pytest.mark.parametrize(
    ("step", "value"), [(0, 1.0), (15, 0.75), (30, 0.5), (60, 0.0), (61, 0.0), (10**6, 0.0)]
)
def test_a_schedule_goes_linearly_and_then_rests(step: int, value: float) -> None:
    schedule = Schedule.model_validate({"from": 1, "to": 0, "over": 60})
    assert schedule.at(step) == pytest.approx(value)
    assert value_at(schedule, step) == schedule.at(step)
    assert value_at(3, step) == 3.0


def test_a_schedule_is_written_as_it_is_read() -> None:
    config = resolve(
        {
            "task": "t",
            "method": "sdft",
            "rollout": {"max_new_tokens": {"from": 1, "to": 2, "over": 3}},
        }
    )
    rollout = config.as_document()["rollout"]
    assert rollout["max_new_tokens"] == {"from": 1.0, "to": 2.0, "over": 3}
    assert "from: 1.0" in config.as_yaml()


@pytest.mark.parametrize(
    "source",
    [
        {},
        {"student": 1.0},
        {"student": "rest", "demonstration": "rest"},
        {"student": "rest", "demonstration": 1.2},
        {"student": "rest", "demonstration": -0.1},
        {"student": "rest", "nobody": 0.1},
        {"student": "rest", "demonstration": {"from": 2, "to": 0, "over": 3}},
        {"student": "rest", "demonstration": {"from": 1, "to": -0.1, "over": 3}},
        {"student": "rest", "demonstration": 0.8, "teacher": 0.3},
        {
            "student": "rest",
            "demonstration": {"from": 1, "to": 0.2, "over": 3},
            "teacher": {"from": 0, "to": 0.9, "over": 5},
        },
        "nobody",
        3,
    ],
)
def test_sources_are_shares_with_one_rest(source: object) -> None:
    with pytest.raises(ValidationError):
        RolloutConfig.model_validate({"source": source})


def test_shares_may_be_handed_over_from_source_to_source() -> None:
    falls, rises = ({"from": a, "to": 1 - a, "over": 7} for a in (1, 0))
    source = {"student": "rest", "demonstration": falls, "teacher": rises}
    assert len(RolloutConfig.model_validate({"source": source}).source) == 3


@pytest.mark.parametrize(
    ("key", "schedule", "message"),
    [
        ("divergence.nll_share", {"from": 2, "to": 0, "over": 5}, "should be shares, from 0 to 1"),
        ("rollout.max_new_tokens", {"from": 0, "to": 5, "over": 5}, "1 token at least"),
        ("rollout.max_new_tokens", {"from": 5, "to": -5, "over": 5}, "1 token at least"),
        ("rollout.source", {"demonstration": 0.7, "teacher": 0.7, "student": "rest"},
         "add up to 1.4 at step 0"),
    ],
)  # fmt: skip
def test_schedules_end_where_their_numbers_may(key: str, schedule: object, message: str) -> None:
    """A share above 1 would train away from the teacher."""
    document: dict[str, object] = {"task": "t", "method": "sdft"}
    set_dotted(document, key, schedule)
    with pytest.raises(ConfigError, match=message) as caught:
        resolve(document)
    assert f'"{key.split(".")[0]}' in caught.value.message


def test_one_source_alone_takes_everything() -> None:
    assert RolloutConfig(source="student").source == {"student": "rest"}  # type: ignore[arg-type]


def test_configurations_cannot_be_changed() -> None:
    config = resolve({"task": "t", "method": "sft"})
    with pytest.raises(ValidationError, match="frozen"):
        config.steps = 3  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        config.optimizer.learning_rate = 3.0  # type: ignore[misc]


@pytest.mark.parametrize("model", [PremiseConfig, EvaluationConfig, RunConfig])
def test_unknown_settings_are_refused_everywhere(model: type[RunConfig]) -> None:
    minimal = resolve({"task": "t", "method": "sft"}).as_document()
    known = {key: minimal[key] for key in model.model_fields if key in minimal}
    if model is not RunConfig:
        known = {"task": "t"}
    assert validate(model, known, "here")
    with pytest.raises(ConfigError, match='here: unknown setting "stpes"'):
        validate(model, {**known, "stpes": 3}, "here")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task: [a", r"run\.yaml, line 1: not valid YAML"),
        ("task: a\n\tsteps: 3", r"run\.yaml, line 2: not valid YAML"),
        ("- a\n- b", r"run\.yaml: expected settings like 'task: name', found list"),
        ("", r"run\.yaml: expected settings like 'task: name', found NoneType"),
        ("name: 2026-13-45", r"run\.yaml: a value cannot be read \(month must be in 1\.\.12"),
        ("name: " + "[" * 1500, r"run\.yaml: a value cannot be read"),
        ("seed: " + "9" * 5000, r"run\.yaml: a value cannot be read"),
        ("just words", "found str"),
    ],
)
def test_a_text_that_holds_no_settings_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_yaml(text, "run.yaml")


NUMBERS = [
    "checkpoint_minutes",
    "optimizer.learning_rate",
    "optimizer.max_grad_norm",
    "optimizer.weight_decay",
    "rollout.temperature",
    "rollout.top_p",
    "rollout.min_p",
    "teacher.rate",
    "teacher.success_at",
    "teacher.temperature",
    "divergence.teacher_share",
    "divergence.nll_share",
    "token_weights.stop_below",
    "adapter.alpha",
    "traces.max_mib",
    "checkpoint_minutes",
]


@pytest.mark.parametrize("value", [float("inf"), float("nan"), "inf", "nan"])
@pytest.mark.parametrize("key", NUMBERS)
def test_numbers_are_finite(key: str, value: object) -> None:
    document: dict[str, object] = {"task": "t", "method": "sdft"}
    set_dotted(document, key, value)
    with pytest.raises(ConfigError, match=rf'"{key}" is .*(inf|nan)\W'):
        resolve(document)


@pytest.mark.parametrize("number", ["inf", "nan"])
def test_numbers_of_schedules_are_finite(number: str) -> None:
    for key in ("rollout.max_new_tokens", "rollout.source", "divergence.nll_share"):
        schedule: object = {"from": 1, "to": float(number), "over": 3}
        if key == "rollout.source":
            schedule = {"demonstration": schedule, "student": "rest"}
        document: dict[str, object] = {"task": "t", "method": "sdft"}
        set_dotted(document, key, schedule)
        with pytest.raises(ConfigError, match=rf'"{key}[a-z.]*" is .*{number}'):
            resolve(document)


def test_every_number_of_a_run_was_tried() -> None:
    """A new float setting belongs to NUMBERS."""
    tried = set(NUMBERS) | {"rollout.source", "rollout.max_new_tokens", "divergence.nll_share"}
    document = flat(resolve({"task": "t", "method": "sdft"}).as_document())
    assert {key for key, value in document.items() if isinstance(value, float)} <= tried


def test_yaml_cannot_make_objects() -> None:
    with pytest.raises(ConfigError, match="not valid YAML"):
        parse_yaml("task: !!python/object/apply:os.getcwd []", "run.yaml")


def test_settings_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SDLAB_HOME", str(tmp_path))
    monkeypatch.setenv("SDLAB_THREADS", "3")
    settings = Settings()
    assert (settings.home, settings.threads) == (tmp_path, 3)
    assert settings.database == f"sqlite:///{tmp_path / 'lab.sqlite'}"
    monkeypatch.setenv("SDLAB_DATABASE_URL", "postgresql://lab")
    assert Settings().database == "postgresql://lab"
    monkeypatch.setenv("SDLAB_THREADS", "-1")
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        Settings()
