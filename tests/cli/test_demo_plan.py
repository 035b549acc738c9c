"""What the demo would run: checked here, as running it takes minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.bootstrap import build_lab
from backend.config import DEFAULT_MODEL, RunConfig
from backend.demo_plans import FULL, QUICK, Plan
from backend.documents import validate
from backend.evaluation.probe_names import expand
from backend.jobs.job_configs import PremiseConfig
from backend.jobs.tasks import demonstrations, find_task
from backend.lab import Lab
from backend.methods import method_of
from backend.settings import Settings
from backend.training.loop import batch_of_step

PLANS = pytest.mark.parametrize("plan", [FULL, QUICK], ids=["full", "quick"])


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A lab with the bundled tasks."""
    lab = build_lab(Settings(home=tmp_path_factory.mktemp("home")))
    lab.add_bundled_tasks()
    return lab


def configs(lab: Lab, plan: Plan) -> list[RunConfig]:
    return [config for run in plan.runs for config in lab.configure(run)]


@PLANS
def test_every_run_is_a_checked_configuration_of_the_bundled_model(lab: Lab, plan: Plan) -> None:
    for config in configs(lab, plan):
        assert config.model == DEFAULT_MODEL
        assert config.checkpoint_every <= config.steps
        assert lab.estimate(config)["known"]
    premise = validate(PremiseConfig, dict(plan.premise), "premise")
    assert f"{premise.task}@1" == configs(lab, plan)[0].task


@PLANS
def test_sft_goes_first_at_two_learning_rates_and_then_sdft(lab: Lab, plan: Plan) -> None:
    runs = configs(lab, plan)
    assert [method_of(config) for config in runs] == ["sft", "sft", "sdft"]
    careful, careless, sdft = runs
    assert careful.optimizer.learning_rate < careless.optimizer.learning_rate
    assert sdft.teacher.weights == "ema"
    assert len({config.name for config in runs}) == 3


@PLANS
def test_all_runs_see_the_same_rows_in_the_same_order(lab: Lab, plan: Plan) -> None:
    runs = configs(lab, plan)
    shared = [(run.task, run.seed, run.steps, run.batch_size, run.evaluate) for run in runs]
    assert shared[1:] == shared[:-1]
    stored = find_task(lab.database, runs[0].task)
    rows = demonstrations(lab.database, stored.version.id, "training")
    for step in (0, runs[0].steps - 1):
        first, *others = [[row.id for row in batch_of_step(rows, config, step)] for config in runs]
        assert others == [first, first]


def test_the_full_plan_has_a_forgetting_curve_of_all_tasks_and_prior_knowledge(lab: Lab) -> None:
    for config in configs(lab, FULL):
        assert 0 < config.evaluate.every < config.steps
        probes = expand(config.evaluate.probes)
        assert "task" in probes
        assert "prior:facts" in probes
        others = {task["name"] for task in lab.tasks()} - {config.task.split("@")[0]}
        assert {name for name in probes if name.startswith("task:")} == {
            f"task:{o}" for o in others
        }


def test_the_quick_plan_is_short_and_says_what_it_is_not(lab: Lab) -> None:
    for config in configs(lab, QUICK):
        assert config.steps <= 4
        assert 0 < config.evaluate.every < config.steps, "it shows a curve, though a short one"
        assert 0 < config.evaluate.along_limit <= 4
    assert "not the effect" in QUICK.caveat
    assert FULL.caveat == ""


def test_the_bundled_tasks_are_added_once(tmp_path: Path) -> None:
    lab = build_lab(Settings(home=tmp_path / "home"))
    first, again = lab.add_bundled_tasks(), lab.add_bundled_tasks()
    assert [task["id"] for task in first] == [task["id"] for task in again]
    assert [task["version"] for task in again] == [1, 1, 1]
    lab.close()
