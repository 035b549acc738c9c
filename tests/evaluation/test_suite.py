"""Suites: names become probes, and only a base model's scores are taken from earlier runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.config import AdapterConfig, EvaluateConfig
from backend.errors import ConfigError
from backend.evaluation.benchmarks import ProbeUnavailable
from backend.evaluation.probe_names import PRIOR, expand
from backend.evaluation.probes import KlProbe, TaskProbe, fingerprint
from backend.evaluation.suite import Suite, prior_probe
from backend.models.language_model import LanguageModel
from backend.training.recorder import Evaluation, Item
from tests.recording import ListRecorder
from tests.tiny_model import load_tiny
from tests.training.tiny_runs import demonstrations, disturb_adapter

OWN = TaskProbe("own", "v1", demonstrations(3), "exact", 4)
OTHER = TaskProbe("other", "v1", demonstrations(2, first=50), "exact", 4)


@pytest.fixture
def model(tiny_folder: Path) -> LanguageModel:
    return load_tiny(tiny_folder)


def suite(recorder: ListRecorder, *names: str, own: TaskProbe | None = OWN) -> Suite:
    return Suite(names, own, {"own": OWN, "other": OTHER}.__getitem__, recorder)


def test_names_are_taken_apart_and_kept_once() -> None:
    assert expand(["task", "prior", "prior:kl", "task"]) == ["task", *PRIOR]
    assert expand(["task:other", "prior:facts"]) == ["task:other", "prior:facts"]


def test_an_unknown_probe_is_refused() -> None:
    with pytest.raises(ConfigError, match=r'evaluate\.probes: there is no probe "priors"'):
        expand(["task", "priors"])


def test_a_task_is_measured_once_under_either_name(model: LanguageModel) -> None:
    recorder = ListRecorder()
    made = suite(recorder, "task", "task:own", "task:other").measure(
        model, 7, EvaluateConfig(), is_base=False
    )
    assert [evaluation.probe for evaluation in made] == ["task:own", "task:other"]
    assert [(step, e.probe, e.n, subset) for step, e, subset in recorder.evaluations] == [
        (7, "task:own", 3, False),
        (7, "task:other", 2, False),
    ]


def test_a_point_of_the_curve_at_the_ends_is_a_part_of_the_whole(model: LanguageModel) -> None:
    limits = EvaluateConfig(every=1, along=("task",), along_limit=2)
    recorder = ListRecorder()
    tasks = suite(recorder, "task", "task:other")
    tasks.measure(model, 0, limits, is_base=False)
    tasks.look(model, 1, limits)
    assert [(step, e.probe, e.n, subset) for step, e, subset in recorder.evaluations] == [
        (0, "task:own", 3, False),
        (0, "task:own", 2, True),
        (0, "task:other", 2, False),
        (1, "task:own", 2, True),
    ]
    end, point = (e for _, e, subset in recorder.evaluations if subset)
    assert end == point


def test_other_tasks_may_have_fewer_rows(model: LanguageModel) -> None:
    limits = EvaluateConfig(other_limit=1)
    made = suite(ListRecorder(), "task", "task:other").measure(model, 0, limits, is_base=False)
    assert [evaluation.n for evaluation in made] == [3, 1]


def test_a_suite_without_a_task_of_its_own_needs_a_name(model: LanguageModel) -> None:
    with pytest.raises(ConfigError, match="the probe task needs a run that has one"):
        suite(ListRecorder(), "task", own=None).measure(model, 0, EvaluateConfig(), is_base=True)


def test_only_the_base_takes_scores_from_earlier_runs(model: LanguageModel) -> None:
    recorder = ListRecorder()
    mark = fingerprint(OWN, model, 0)
    stored = Evaluation("task:own", "exact", 0.123, 3, 0.1, 0.2, fingerprint=mark)
    recorder.known[mark] = stored
    tasks = suite(recorder, "task")
    (base,) = tasks.measure(model, 0, EvaluateConfig(), is_base=True)
    assert base == stored
    (measured,) = tasks.measure(model, 0, EvaluateConfig(), is_base=False)
    assert measured.score != 0.123
    assert measured.fingerprint == ""
    (part,) = tasks.measure(model, 0, EvaluateConfig(limit=2), is_base=True)
    assert part.n == 2


def test_a_bases_score_is_kept_for_later_runs(model: LanguageModel) -> None:
    recorder = ListRecorder()
    first = suite(recorder, "task").measure(model, 0, EvaluateConfig(), is_base=True)
    assert recorder.known == {fingerprint(OWN, model, 0): first[0]}
    model.add_adapter(AdapterConfig(rank=4), seed=0)
    disturb_adapter(model)
    suite(recorder, "task").measure(model, 5, EvaluateConfig(), is_base=False)
    assert list(recorder.known) == [fingerprint(OWN, model, 0)]


def test_the_bases_answers_are_taken_from_its_evaluation(model: LanguageModel) -> None:
    """So that a trained model's KL needs no generation."""
    recorder = ListRecorder()
    probe = prior_probe("prior:kl", {})
    assert isinstance(probe, KlProbe)
    items = tuple(Item(row["id"], row["prompt"], "", "the answer", 0.0) for row in probe.rows)
    mark = fingerprint(probe, model, 0)
    recorder.known[mark] = Evaluation("prior:kl", "kl_nats", 0, 1, 0, 0, items, mark)
    model.add_adapter(AdapterConfig(rank=4), seed=0)
    disturb_adapter(model)
    (kl,) = suite(recorder, "prior:kl").measure(
        model, 5, EvaluateConfig(limit=3, facts_limit=3), is_base=False
    )
    assert {item.answer for item in kl.items} == {"the answer"}
    assert kl.score > 0


def test_the_bundled_probes_can_be_run(model: LanguageModel) -> None:
    made = suite(ListRecorder(), "prior").measure(
        model, 0, EvaluateConfig(limit=3, facts_limit=3), is_base=True
    )
    assert [evaluation.probe for evaluation in made] == list(PRIOR)
    assert [evaluation.metric for evaluation in made] == ["accuracy", "passed", "kl_nats"]
    assert [evaluation.n for evaluation in made] == [3, 3, 3]
    assert made[2].score == 0.0


class Absent(TaskProbe):
    """A probe whose items are not here, as a benchmark without a network; counts the attempts."""

    attempts = 0

    def run(self, model: LanguageModel, limit: int) -> list[Item]:
        Absent.attempts += 1
        raise ProbeUnavailable("its data set is not here", where="task:absent")


def test_a_probe_that_cannot_be_scored_is_told_once_and_the_others_are_scored(
    model: LanguageModel,
) -> None:
    absent = Absent("absent", "v1", [], "exact", 4)
    recorder, limits = ListRecorder(), EvaluateConfig(every=1, along=("task:absent", "task"))
    tasks = Suite(["task:absent", "task"], OWN, {"absent": absent}.__getitem__, recorder)
    Absent.attempts = 0
    assert [e.probe for e in tasks.look(model, 1, limits)] == ["task:own"]
    for is_base in (True, False):
        made = tasks.measure(model, 2, limits, is_base=is_base)
        assert [evaluation.probe for evaluation in made] == ["task:own"]
    (event,) = recorder.events
    assert (event.kind, event.level) == ("probe_skipped", "warning")
    assert event.message == "not scored: task:absent: its data set is not here"
    assert event.data == {"probe": "task:absent", "step": 1}
    assert Absent.attempts == 1
