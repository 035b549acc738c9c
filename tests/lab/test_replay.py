"""A stored step computed again: equal, or with the first number that is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.cli.replay import _lines
from backend.errors import ConfigError, NotFound, StateError
from backend.jobs.work.context import run_folder
from backend.lab import Lab
from storage.metrics import Metrics, put_metrics
from tests.cli import contract

Train = Callable[..., Any]


def replay(lab: Lab, run_id: str, step: int) -> dict[str, Any]:
    (job,) = lab.wait([lab.replay(run_id, step)])
    contract.check(contract.Run, job)
    assert job["state"] == "done", job["error"]
    contract.check(contract.Replay, job["result"])
    assert not list(run_folder(lab.settings, job["id"]).rglob("*.safetensors"))
    result: dict[str, Any] = job["result"]
    return result


@pytest.mark.parametrize("method", ["sdft", "sft"])
def test_steps_are_equal_before_and_after_a_checkpoint(
    method: str, lab: Lab, add_task: Callable[..., str], train: Train
) -> None:
    run = train(add_task(), method, steps=5, checkpoint_every=2,
                optimizer={"learning_rate": 0.02, "warmup_steps": 2})  # fmt: skip
    for step in (1, 2, 3, 5):
        assert replay(lab, run["id"], step) == {"equal": True, "first_difference": None}
    assert lab.run(run["id"]) == run, "the run itself is as it was"


@pytest.mark.parametrize("method", ["dft", "ssd", "opsd", "sdpo"])
def test_the_other_methods_are_replayed_too(
    method: str, lab: Lab, add_task: Callable[..., str], train: Train
) -> None:
    """With the answers that were sampled before training, and with scored groups."""
    run = train(add_task(), method, steps=3, checkpoint_every=2)
    assert run["state"] == "done", run["error"]
    for step in (1, 3):
        assert replay(lab, run["id"], step) == {"equal": True, "first_difference": None}


def test_going_back_to_the_base_and_another_runs_teaching_are_replayed(
    lab: Lab, add_task: Callable[..., str], train: Train
) -> None:
    first = train(add_task(), "sft", optimizer={"learning_rate": 0.05, "warmup_steps": 0})
    back = train("lights", "reinvoke", start_from=first["id"])
    taught = train("lights", "sdft", teacher={"weights": "run", "run": first["id"]})
    for run in (back, taught):
        assert run["state"] == "done", run["error"]
        assert replay(lab, run["id"], 2)["equal"]
    assert back["metrics"]["loss"] > 0
    with pytest.raises(ConfigError, match="a fresh one is the base"):
        train("lights", "reinvoke")


def test_a_run_that_went_on_from_another_one_starts_there_again(
    lab: Lab, add_task: Callable[..., str], train: Train
) -> None:
    first = train(add_task(), "sft", optimizer={"learning_rate": 0.05, "warmup_steps": 0})
    second = train("lights", "sft", start_from=first["id"])
    assert replay(lab, second["id"], 2)["equal"]


def test_the_first_number_that_differs_is_named(
    lab: Lab, add_task: Callable[..., str], train: Train
) -> None:
    run = train(add_task(), "sft", steps=4, checkpoint_every=1)
    stored = dict(Metrics(lab.database).series(run["id"], "loss"))
    with lab.database.write() as session:
        put_metrics(session, run["id"], [("loss", 3, stored[3] + 1e-12)])
    assert replay(lab, run["id"], 2)["equal"], "the steps before are compared only"
    found = replay(lab, run["id"], 3)
    assert not found["equal"]
    difference = found["first_difference"]
    assert (difference["step"], difference["metric"]) == (3, "loss")
    assert difference["computed"] == stored[3] != difference["stored"]
    (line,) = _lines(found)
    assert line.startswith("not equal: loss of step 3 is ")


def test_only_steps_that_were_trained_are_replayed(
    lab: Lab, add_task: Callable[..., str], train: Train, tiny_folder: Path
) -> None:
    run = train(add_task(), "sft")
    premise = lab.premise({"task": "lights", "model": str(tiny_folder)})
    with pytest.raises(StateError, match=r"no step 3 to replay; .* go from 1 to 2"):
        lab.replay(run["id"], 3)
    with pytest.raises(StateError, match=r"no step 1 to replay; .* it has none yet"):
        lab.replay(premise, 1)
    with pytest.raises(ConfigError, match='"step" is 0'):
        lab.replay(run["id"], 0)
    with pytest.raises(NotFound):
        lab.replay("none", 1)
