"""Alarms: each on figures that show what it is about, once, and with what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.training.alarms import RULES, WINDOW, Alarms
from backend.training.loop import train
from backend.training.observations import distinct_pairs
from backend.training.row_checks import Rows
from tests.recording import ListRecorder
from tests.training.tiny_runs import demonstrations, tiny_config, tiny_trainer

QUIET = {"entropy": 1.0, "completion_tokens": 10.0, "clipped_fraction": 0.1, "distinct_2": 0.8,
         "artefact_rate": 0.0, "grad_norm": 1.0, "derailed_fraction": 0.2,
         "lesson_fraction": 0.5, "kl_to_base": 0.2}  # fmt: skip
LOUD = {"entropy_fell": {"entropy": 0.01}, "entropy_rose": {"entropy": 4.0},
        "length_grew": {"completion_tokens": 64.0}, "clipped": {"clipped_fraction": 0.9},
        "repeating": {"distinct_2": 0.2}, "artefacts": {"artefact_rate": 0.5},
        "far_from_base": {"kl_to_base": 4.0}, "derailed": {"derailed_fraction": 1.0},
        "no_lessons": {"lesson_fraction": 0.0},
        "gradient_spike": {"grad_norm": 40.0}}  # fmt: skip


def raised(alarms: Alarms, steps: int, **changed: float) -> list[str]:
    return [
        alarm.name for _ in range(steps) for alarm in alarms.watch(QUIET | changed, max_grad_norm=1)
    ]


@pytest.mark.parametrize("name", LOUD)
def test_an_alarm_is_raised_once_and_only_by_what_it_is_about(name: str) -> None:
    alarms = Alarms()
    assert raised(alarms, 3 * WINDOW) == []
    assert raised(alarms, 3 * WINDOW, **LOUD[name]) == [name]


def test_every_rule_has_its_case() -> None:
    assert LOUD.keys() == {rule.name for rule in RULES} | {"gradient_spike"}


def test_a_message_has_the_numbers_and_a_remedy() -> None:
    alarms = Alarms()
    raised(alarms, WINDOW)
    told = [a for _ in range(WINDOW) for a in alarms.watch(QUIET | {"clipped_fraction": 0.9}, 1)]
    assert "clipped_fraction is 0.58 over the last 5 values, and was 0.10" in told[0].message
    assert "raise rollout.max_new_tokens" in told[0].message


def test_methods_without_a_metric_are_never_alarmed_by_it() -> None:
    alarms = Alarms()
    assert all(not alarms.watch({"entropy": 0.5, "grad_norm": 1.0}, 1) for _ in range(9))


def test_the_state_goes_through_a_checkpoint() -> None:
    whole, before, after = Alarms(), Alarms(), Alarms()
    values = [QUIET] * 7 + [QUIET | {"entropy": 0.01}] * 7
    expected = [alarm for each in values for alarm in whole.watch(each, 1)]
    found = [alarm for each in values[:9] for alarm in before.watch(each, 1)]
    after.load(json.loads(json.dumps(before.state())))
    found += [alarm for each in values[9:] for alarm in after.watch(each, 1)]
    assert found == expected
    assert [alarm.name for alarm in expected] == ["entropy_fell"]


def test_a_run_tells_of_its_alarms(tiny_folder: Path, tmp_path: Path) -> None:
    """The tiny model hardly ever ends an answer; it is told that it did so at first."""
    config = tiny_config(steps=7, rollout__max_new_tokens=3)
    trainer, recorder = tiny_trainer(tiny_folder, config), ListRecorder()
    trainer.alarms.first["clipped_fraction"] = [0.0] * WINDOW
    train(trainer, Rows(demonstrations(8), []), recorder, tmp_path, lambda done: None)
    (alarm,) = [event for event in recorder.events if event.kind == "alarm"]
    assert (alarm.level, alarm.data["step"], alarm.data["alarm"]) == ("warning", WINDOW, "clipped")
    assert alarm.message.startswith(f"step {WINDOW}: clipped_fraction is ")


def test_pairs_of_tokens_that_repeat_are_counted() -> None:
    assert distinct_pairs([[1, 2, 3, 4]]) == 1.0
    assert distinct_pairs([[1, 1, 1, 1, 1]]) == 0.25
    assert distinct_pairs([[1, 2], [1, 2]]) == 0.5
    assert distinct_pairs([[1], []]) == 1.0
