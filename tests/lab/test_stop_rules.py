"""Rules that end a run before its last step, on its own stored scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from backend.config import RunConfig
from backend.errors import ConfigError
from backend.jobs.work.stop_rules import reason_to_stop
from backend.lab import Lab
from backend.methods import resolve
from storage.evaluations import put_evaluation
from storage.models import Evaluation, EvaluationItem, Run
from storage.runs import Runs

FACTS = "prior:facts"
Train = Callable[..., Any]


@dataclass(frozen=True)
class Scored:
    """A run whose scores a test writes itself."""

    lab: Lab
    run: str

    def at(self, step: int, *scores: float, probe: str = FACTS, metric: str = "accuracy") -> None:
        mean = sum(scores) / len(scores)
        found = Evaluation(run_id=self.run, step=step, probe=probe, metric=metric, score=mean,
                           n=len(scores), low=mean, high=mean, subset=True, fingerprint="",
                           details={})  # fmt: skip
        items = [
            EvaluationItem(item_id=str(i), prompt="p", expected="e", answer="a", score=score)
            for i, score in enumerate(scores)
        ]
        with self.lab.database.write() as session:
            put_evaluation(session, found, items)

    def reason(self, *rules: dict[str, Any]) -> str | None:
        config = resolve({"task": "lights", "method": "sft", "stop_when": list(rules)})
        return reason_to_stop(self.lab.database, self.run, config)


@pytest.fixture
def scored(lab: Lab) -> Scored:
    run = Run(name="r", kind="train", config={}, method="sft", model="m", total_steps=9)
    (stored,) = Runs(lab.database).enqueue(run)
    return Scored(lab, stored.id)


def test_a_fall_counts_where_its_interval_is_below_zero(scored: Scored) -> None:
    rule = {"probe": FACTS, "fell_by": 0.1}
    scored.at(0, *[1.0] * 40)
    assert scored.reason(rule) is None
    scored.at(2, *[1.0] * 38, 0.0, 0.0)
    assert scored.reason(rule) is None, "5 points are less than 10"
    scored.at(4, *[1.0] * 20, *[0.0] * 20)
    reason = scored.reason(rule)
    assert reason is not None
    assert reason.startswith("prior:facts fell by 0.50 from step 0 to step 4 (95 % from 0.")
    assert scored.reason({"probe": FACTS, "fell_by": 0.6}) is None
    assert scored.reason() is None


def test_few_items_prove_no_fall(scored: Scored) -> None:
    scored.at(0, 1.0, 1.0, 0.0)
    scored.at(2, 1.0, 0.0, 0.0)
    assert scored.reason({"probe": FACTS, "fell_by": 0.1}) is None


def test_more_nats_from_the_base_are_a_fall(scored: Scored) -> None:
    rule = {"probe": "prior:kl", "fell_by": 0.5}
    scored.at(0, *[0.0] * 10, probe="prior:kl", metric="kl_nats")
    scored.at(2, *[0.9] * 10, probe="prior:kl", metric="kl_nats")
    reason = scored.reason(rule)
    assert reason is not None
    assert "prior:kl fell by 0.90" in reason


def test_no_gain_is_counted_in_evaluations(scored: Scored) -> None:
    rule = {"probe": "task", "no_gain_for": 2}
    for step, score in ((0, 0.0), (2, 0.5), (4, 0.5)):
        scored.at(step, score, probe="task:lights", metric="exact")
        assert scored.reason(rule) is None
    scored.at(6, 0.4, probe="task:lights", metric="exact")
    reason = scored.reason(rule)
    assert reason is not None
    assert reason.startswith("task:lights was best at step 2 with 0.50, and 2 evaluations")


def test_a_run_ends_where_its_rule_says_so(
    lab: Lab, add_task: Callable[..., str], train: Train
) -> None:
    """With the scores of its end, its adapter, and the steps it made as all of its steps."""
    run = train(
        add_task(), "sft", steps=6, stop_when=[{"probe": "task", "no_gain_for": 1}],
        evaluate={"probes": ["task"], "every": 1, "max_new_tokens": 2, "premise": False},
        optimizer={"learning_rate": 1e-9},
    )  # fmt: skip
    assert run["state"] == "done", run["error"]
    assert run["progress"]["step"] == run["progress"]["total"] == 1
    assert [point["step"] for point in run["checkpoints"]] == [1]
    steps = {found["step"] for found in run["evaluations"] if not found.get("subset")}
    assert steps == {0, 1}
    assert any(artifact["kind"] == "adapter" for artifact in run["artifacts"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stop_when": [{"probe": "prior:kl", "fell_by": 0.1}]}, "is not scored along it"),
        ({"stop_when": [{"probe": "task"}]}, "set either fell_by or no_gain_for"),
        ({"stop_when": [{"probe": "task", "fell_by": 1, "no_gain_for": 1}]}, "either fell_by"),
    ],
)
def test_rules_that_cannot_work_are_refused(
    changes: dict[str, Any], message: str, lab: Lab, add_task: Callable[..., str], train: Train
) -> None:
    with pytest.raises(ConfigError, match=message):
        train(add_task(), "sft", **changes)


def test_rules_survive_yaml() -> None:
    config = resolve({"task": "t", "method": "sft", "stop_when": [{"probe": "a", "fell_by": 0.1}]})
    assert RunConfig.model_validate(config.as_document()) == config
