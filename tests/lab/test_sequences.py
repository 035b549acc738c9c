"""Tasks learned one after the other: chains of runs, and the matrix of what each one forgot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.errors import ConfigError, NotFound, UserError
from backend.lab import Lab
from tests.cli import contract
from tests.lab.tiny_tasks import write_rows

Plan = Callable[..., dict[str, Any]]
STEPS = 60


def add_task(lab: Lab, folder: Path, name: str, prompt: str, answer: str) -> str:
    """A task with one answer to all, which a tiny model learns in a few steps."""
    files = [
        write_rows(
            folder / f"{name}-{first}.jsonl",
            [{"prompt": f"{prompt} {i}", "answer": answer} for i in range(first, first + count)],
        )
        for first, count in ((1, 8), (100, 3))
    ]
    lab.add_task(files[0], name, held_out=str(files[1]))
    return name


@pytest.fixture
def plan(lab: Lab, tiny_folder: Path, tmp_path: Path) -> Plan:
    """The document of a sequence of two tasks on the tiny model."""
    tasks = [
        add_task(lab, tmp_path, "lights", "question", "user"),
        add_task(lab, tmp_path, "others", "the light", "system"),
    ]

    def make(*arms: dict[str, Any], **shared: Any) -> dict[str, Any]:
        return {
            "tasks": tasks,
            "model": str(tiny_folder),
            "steps": 2,
            "batch_size": 4,
            "evaluate": {"probes": ["task"], "max_new_tokens": 4, "premise": False},
            "traces": {"every": 0},
            "rollout": {"max_new_tokens": 4},
            "optimizer": {"learning_rate": 0.01, "warmup_steps": 0},
            "arms": list(arms) or [{"method": "sft", "seed": 1}],
            **shared,
        }

    return make


def stages(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for arm in document["arms"]:
        yield from arm["stages"]


def run_all(lab: Lab, document: dict[str, Any]) -> dict[str, Any]:
    sequence_id = lab.start_sequence(document)
    lab.wait([run["id"] for run in stages(lab.sequence(sequence_id))])
    return lab.sequence(sequence_id)


def score(run: dict[str, Any], probe: str, step: int) -> float:
    (found,) = [
        each["score"]
        for each in run["evaluations"]
        if (each["probe"], each["step"], each["subset"]) == (probe, step, False)
    ]
    return float(found)


def test_two_tasks_and_two_arms_fill_their_matrices(lab: Lab, plan: Plan) -> None:
    """The plain arm learns and forgets all; the other one's learning rate does nothing."""
    idle = {"method": "sdft", "seed": 2, "name": "idle", "optimizer": {"learning_rate": 1e-9}}
    document = run_all(lab, plan({"method": "sft", "seed": 1}, idle, steps=STEPS))
    contract.check(contract.TaskSequence, document)
    assert document["state"] == "done"
    assert document["tasks"] == ["lights@1", "others@1"]
    assert [(arm["method"], arm["seed"], arm["name"]) for arm in document["arms"]] == [
        ("sft/small-model", 1, "sft seed 1"),
        ("sdft/small-model", 2, "idle"),
    ]
    for arm in document["arms"]:
        first, second = arm["stages"]
        assert [stage["task"] for stage in arm["stages"]] == ["lights", "others"]
        assert (first["after"], second["after"]) == (None, first["id"])
        assert first["config"]["start_from"] is None
        assert second["config"]["start_from"] == first["id"]
        probes = ("task:lights", "task:others")
        b, R = arm["matrix"]["b"], arm["matrix"]["R"]
        assert b == [score(first, probe, 0) for probe in probes]
        assert [[score(stage, probe, STEPS) for probe in probes] for stage in arm["stages"]] == R
        assert [score(second, probe, 0) for probe in probes] == R[0], "it goes on from there"
        assert arm["acc"] == pytest.approx(sum(R[1]) / 2)
        assert arm["bwt"] == pytest.approx(R[1][0] - R[0][0])
        assert arm["fwt"] == pytest.approx(R[0][1] - b[1])
        assert arm["forgetting"] == pytest.approx(R[0][0] - R[1][0])
    assert document["arms"][0]["matrix"]["R"] == [[1.0, 0.0], [0.0, 1.0]]
    assert document["arms"][1]["matrix"]["R"] == [[0.0, 0.0], [0.0, 0.0]]
    assert document["arms"][0]["matrix"]["b"] == document["arms"][1]["matrix"]["b"]
    assert lab.sequence(document["id"][:8]) == document


def test_what_a_sequence_takes_is_said_by_arm_and_in_all(lab: Lab, plan: Plan) -> None:
    document = plan({"method": "sft", "seed": 1}, {"method": "sdft", "name": "ours"})
    first, second, whole = lab.estimate_sequence(document)
    assert first.startswith("sft seed 1: 2 runs, about ")
    assert second.startswith("ours: 2 runs, about ")
    assert whole.startswith("all 2 arms: 4 runs, about ")
    assert whole.endswith("GiB of memory")
    assert lab.runs() == []
    assert len(lab.estimate_sequence(plan())) == 1
    with pytest.raises(UserError, match="GiB of memory"):
        lab.estimate_sequence(plan(model="org/model-900B"))
    assert "unknown" in lab.estimate_sequence(plan(model="org/some-model"))[0]


def test_the_same_plan_is_the_same_sequence(lab: Lab, plan: Plan) -> None:
    first = lab.start_sequence(plan())
    assert lab.start_sequence(plan()) == first
    assert len(lab.runs()) == 2
    assert lab.start_sequence(plan(name="again")) != first
    assert lab.start_sequence(plan({"method": "sft", "seed": 2})) != first


def test_numbers_wait_for_the_last_score(lab: Lab, plan: Plan) -> None:
    waiting = lab.sequence(lab.start_sequence(plan()))
    contract.check(contract.TaskSequence, waiting)
    (arm,) = waiting["arms"]
    assert waiting["state"] == "queued"
    assert arm["matrix"] == {"b": [None, None], "R": [[None, None], [None, None]]}
    assert arm["acc"] is arm["bwt"] is arm["fwt"] is arm["forgetting"] is None


def test_a_failed_stage_ends_its_arm_only_and_the_same_plan_goes_on(
    lab: Lab, plan: Plan, tiny_folder: Path, tmp_path: Path
) -> None:
    away = tmp_path / "model"
    away.mkdir()
    for file in tiny_folder.iterdir():
        (away / file.name).symlink_to(file)
    document = plan({"method": "sft", "model": str(away)}, {"method": "sft", "name": "well"})
    sequence_id = lab.start_sequence(document)
    away.rename(tmp_path / "moved")
    lab.wait([run["id"] for run in stages(lab.sequence(sequence_id))])
    found = lab.sequence(sequence_id)
    assert found["state"] == "failed"
    states = [[run["state"] for run in arm["stages"]] for arm in found["arms"]]
    assert states == [["failed", "cancelled"], ["done", "done"]]
    broken = found["arms"][0]["stages"]
    assert broken[0]["id"][:8] in broken[1]["error"]["message"]
    assert found["arms"][0]["acc"] is None
    assert found["arms"][1]["acc"] is not None

    (tmp_path / "moved").rename(away)
    again = run_all(lab, document)
    assert (again["id"], again["state"]) == (sequence_id, "done")
    assert [run["attempt"] for run in stages(again)] == [2, 1, 1, 1]


def test_what_cannot_be_run_is_refused_before_anything_is_queued(
    lab: Lab, plan: Plan, tmp_path: Path
) -> None:
    for changed, error, found in (
        ({"tasks": []}, ConfigError, '"tasks" is'),
        ({"tasks": ["lights", "none"]}, NotFound, 'no task "none"'),
        ({"tasks": ["lights", "others", "lights@1"]}, ConfigError, '"lights" stands twice'),
        ({"arms": []}, ConfigError, '"arms" is'),
        ({"arms": [{"seed": 1}]}, ConfigError, 'arm 1: "method" is missing'),
        ({"arms": [{"method": "sft"}, {"method": "sft", "stepz": 1}]}, ConfigError,
         'arm 2: unknown setting "stepz"'),
        ({"arms": [{"method": "sft", "task": "lights"}]}, ConfigError, '"task" is each stage'),
        ({"start_from": "x"}, ConfigError, '"start_from" is each stage'),
        ({"evaluate": {"limit": 8, "other_limit": 2}}, ConfigError, "same items at each stage"),
        ({"evaluate": 3}, ConfigError, '"evaluate" is 3'),
        ({"evaluate": {"probes": ["none"]}}, ConfigError, 'no probe "none"'),
        ({"model": "org/model-900B"}, UserError, "GiB of memory"),
    ):  # fmt: skip
        with pytest.raises(error, match=found):
            lab.start_sequence(plan(**changed))
    assert lab.runs() == []
    with pytest.raises(NotFound, match='no sequence "none"'):
        lab.sequence("none")


def test_every_stage_is_scored_on_all_tasks_and_on_prior_knowledge(lab: Lab, plan: Plan) -> None:
    found = lab.sequence(lab.start_sequence(plan(evaluate={"every": 1})))
    for place, run in enumerate(stages(found)):
        evaluate = run["config"]["evaluate"]
        assert evaluate["probes"] == ["task:lights@1", "task:others@1", "prior"]
        assert evaluate["along"] == [evaluate["probes"][place], "prior:facts"]
