"""Items without a score: left out of the mean, told, kept, and measured again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backend.config import EvaluateConfig, Settings, TeacherConfig
from backend.errors import UserError
from backend.evaluation.premise import check_premise
from backend.evaluation.probes import NothingScored, TaskProbe, evaluate
from backend.evaluation.suite import Suite
from backend.models.language_model import LanguageModel
from tests.judge_server import JudgeServer, Reply, judge_server
from tests.recording import ListRecorder
from tests.tiny_model import load_tiny
from tests.training.tiny_runs import demonstrations


@pytest.fixture
def model(tiny_folder: Path) -> LanguageModel:
    return load_tiny(tiny_folder)


@pytest.fixture
def judge() -> Iterator[JudgeServer]:
    with judge_server() as server:
        yield server


def probe(judge: JudgeServer) -> TaskProbe:
    settings = Settings(judge_url=judge.url, judge_private=True)
    return TaskProbe("own", "v1", demonstrations(3), "judge:tiny", 4, settings)


def test_failed_items_are_no_zeros(model: LanguageModel, judge: JudgeServer) -> None:
    judge.queued = [Reply("SCORE: 10"), Reply("SCORE: 10"), Reply(status=401)]
    found = evaluate(probe(judge), model, 0)
    assert (found.score, found.n, found.metric) == (1.0, 2, "judge")
    assert [item.reason for item in found.failed] == ["judge: the judge answered with status 401"]
    assert all(item.record["replies"] for item in found.items)


def test_failures_are_told_and_the_base_is_measured_again(
    model: LanguageModel, judge: JudgeServer
) -> None:
    recorder = ListRecorder()
    suite = Suite(["task"], probe(judge), {}.__getitem__, recorder)
    judge.queued = [Reply("SCORE: 10"), Reply("SCORE: 10"), Reply(status=401)]
    suite.measure(model, 0, EvaluateConfig(), is_base=True)
    assert [event.kind for event in recorder.events] == ["items_failed"]
    assert "1 of 3 items have no score" in recorder.events[0].message
    assert not recorder.known
    suite.measure(model, 0, EvaluateConfig(), is_base=True)
    assert len(recorder.known) == 1


def test_a_probe_without_any_score_is_skipped_this_time_only(
    model: LanguageModel, judge: JudgeServer
) -> None:
    recorder = ListRecorder()
    suite = Suite(["task"], probe(judge), {}.__getitem__, recorder)
    judge.always = lambda: Reply(status=401)
    assert suite.measure(model, 1, EvaluateConfig(), is_base=False) == []
    assert [event.kind for event in recorder.events] == ["probe_skipped"]
    judge.always = None
    assert len(suite.measure(model, 2, EvaluateConfig(), is_base=False)) == 1


def test_a_premise_needs_a_judge_that_works(model: LanguageModel, judge: JudgeServer) -> None:
    own = probe(judge)
    judge.always = lambda: Reply(status=401)
    with pytest.raises(UserError, match="none of the answers could be scored: judge: the judge"):
        check_premise(
            model, own.rows, own.scorer, TeacherConfig(weights="base"), ["earlier-turn"], 4,
            own.settings,
        )  # fmt: skip


def test_other_servers_are_other_base_scores(judge: JudgeServer) -> None:
    own = probe(judge)
    other = replace(own, settings=Settings(judge_url="https://other/v1"))
    assert own.identity(0) != other.identity(0)
    assert replace(own, scorer="exact").identity(0) == "v1 4 0"


def test_nothing_scored_is_an_error_of_its_own(model: LanguageModel, judge: JudgeServer) -> None:
    judge.always = lambda: Reply("no mark")
    with pytest.raises(NothingScored, match="none of 3 items could be scored"):
        evaluate(probe(judge), model, 0)
