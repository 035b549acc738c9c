"""Scorers through the lab's door: stored with the task, tried on the spot, their verdicts kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.bootstrap import build_lab
from backend.config import Settings
from backend.errors import ConfigError, DataError, NotFound, UserError
from backend.jobs.launchers import LAUNCHERS
from backend.lab import Lab
from storage.artifacts import Artifacts
from tests.judge_server import KEY, Reply, judge_server
from tests.lab.tiny_tasks import rows, write_rows


def test_a_scorer_is_stored_with_its_parameters(lab: Lab, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", rows(8))
    added = lab.add_task(file, "lights", scorer="json", scorer_options='{"ignore": ["id"]}')
    assert added["scorer"] == 'json:{"ignore": ["id"]}'
    assert lab.task("lights")["versions"][-1]["scorer"] == added["scorer"]
    same = lab.add_task(file, "lights", scorer='json:{ "ignore": ["id"], "ordered": true }')
    assert (same["is_new"], same["version"]) == (False, 1)
    assert lab.add_task(file, "lights", scorer="json")["version"] == 2
    with pytest.raises(DataError, match='the scorer regex needs "pattern"'):
        lab.add_task(file, "lights", scorer="regex")


def test_an_answer_is_tried_on_the_spot(lab: Lab, add_task: Callable[..., str]) -> None:
    add_task()
    tried = lab.try_scorer("lights", 1, "<think>hm</think>light.on(1)")
    assert (tried["score"], tried["reason"], tried["scorer"]) == (1.0, "equal", "exact")
    other = lab.try_scorer("lights", 1, "light on 1", "normalised")
    assert (other["score"], other["expected"]) == (1.0, "light.on(1)")
    with pytest.raises(NotFound, match="there is no row 99; choose one from 1 to 11"):
        lab.try_scorer("lights", 99, "x")
    with pytest.raises(ConfigError, match="which is off"):
        lab.try_scorer("lights", 1, "x", "code")


def test_judge_and_verdicts_from_trial_to_evaluation(tiny_folder: Path, tmp_path: Path) -> None:
    with judge_server() as judge:
        settings = Settings(
            home=tmp_path / "home", threads=1, judge_url=judge.url, judge_private=True,
            judge_key=KEY,
        )  # fmt: skip
        lab = build_lab(settings, LAUNCHERS["inline"])
        lab.add_task(write_rows(tmp_path / "r.jsonl", rows(8)), "lights", scorer="judge:tiny",
                     held_out="3")  # fmt: skip
        tried = lab.try_scorer("lights", 1, lab.try_scorer("lights", 1, "?", "exact")["expected"])
        assert tried["score"] == 1.0
        assert "the same" in tried["reason"]
        judge.always = lambda: Reply(status=401, body=KEY.encode())
        with pytest.raises(UserError, match="status 401"):
            lab.try_scorer("lights", 1, "x")
        judge.always = None
        judge.queued = [Reply(status=401, body=KEY.encode()), Reply("Half.\nSCORE: 5")]
        document = _evaluated(lab, tiny_folder)
        evaluation = document["evaluations"][0]
        assert (evaluation["metric"], evaluation["n"], evaluation["failed"]) == ("judge", 2, 1)
        items = lab.evaluation_items(evaluation["id"])
        assert sorted(item["score"] is None for item in items) == [False, False, True]
        kept = Artifacts(lab.database).of_run(document["id"])
        lines = (settings.home / kept[0].path).read_text("utf-8").splitlines()
        lab.close()
    assert [each.kind for each in kept] == ["verdicts"]
    assert len(lines) == 3
    assert all(json.loads(line)["record"]["replies"] for line in lines)
    stored = b"".join(p.read_bytes() for p in settings.home.rglob("*") if p.is_file())
    assert KEY.encode() not in stored


def test_a_run_on_a_scorer_that_is_off_is_refused_before_it_is_queued(
    lab: Lab, tiny_folder: Path, tmp_path: Path
) -> None:
    lab.add_task(write_rows(tmp_path / "r.jsonl", rows(8)), "lights", scorer="code")
    for launch in (
        lambda: lab.evaluate(str(tiny_folder), {"probes": ["task:lights"]}),
        lambda: lab.premise({"task": "lights", "model": str(tiny_folder)}),
        lambda: lab.configure({"task": "lights", "method": "sft", "model": str(tiny_folder)}),
    ):
        with pytest.raises(ConfigError, match="SDLAB_RUN_CODE=confined"):
            launch()
    assert lab.runs() == []


def _evaluated(lab: Lab, model: Path) -> Any:
    run = lab.evaluate(str(model), {"probes": ["task:lights"], "max_new_tokens": 4})
    document = lab.wait([run])[0]
    assert document["state"] == "done", document["error"]
    return document
