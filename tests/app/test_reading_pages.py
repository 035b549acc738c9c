"""Traces and Forgetting rebuild what they show from the address, whatever it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from app.pages.forgetting import _charts, _chosen, _find, _values
from app.pages.launch import _Events
from app.pages.launch_form import field_values
from app.pages.launch_start import start
from app.pages.once import Once
from app.pages.run import _premise
from app.pages.traces import _index
from backend.bootstrap import build_lab
from backend.jobs.launchers import LAUNCHERS
from backend.lab import Lab
from backend.methods import resolve
from backend.settings import Settings
from tests.views.stored_runs import add_run, add_scores, add_trace


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = build_lab(Settings(home=tmp_path / "home"), LAUNCHERS["inline"])
    yield lab
    lab.close()


@pytest.mark.parametrize("step", ["-1", "1.5", "²", "9" * 400, "abc", "0 OR 1"])
def test_a_step_that_is_none_is_answered_in_words(lab: Lab, step: str) -> None:
    run = add_run(lab.database)
    add_trace(lab.database, run, 0)
    told = _index(lab, {"run": run.id, "step": step})
    assert "is no step; choose one of the slider's" in told["missing"]
    assert [each["id"] for each in told["runs"]] == [run.id]


def test_traces_follow_the_address(lab: Lab) -> None:
    run = add_run(lab.database)
    wanted = add_trace(lab.database, run, 0, kind="sampled")
    add_trace(lab.database, run, 5)
    query = {"run": run.id, "step": "0", "trace": wanted, "sort": "length", "show": "sampled"}
    told = _index(lab, query)
    assert (told["step"], told["chosen"]) == (0, wanted)
    assert (told["sort"], told["show"]) == ("length", "sampled")
    assert _index(lab, {"run": run.id, "show": "sampled"})["nothing"] == (
        "No sampled traces at this step."
    )
    assert "steps" not in _index(lab, {})


def test_the_beginning_of_an_id_names_a_run_as_it_does_in_a_terminal(lab: Lab) -> None:
    runs = [add_run(lab.database, name, id=name * 12) for name in ("a", "b")]
    for run in runs:
        add_trace(lab.database, run, 0)
        add_scores(lab.database, run, "prior:facts", 0, {"x": 1.0})
    assert _index(lab, {"run": "aaaaaaaa"})["run"]["id"] == runs[0].id
    assert "there is no run" in _index(lab, {"run": "a run"})["missing"]
    listed = lab.views.scored_runs()
    assert _chosen(listed, {"runs": "bbbb,a"}) == ((runs[1].id, runs[0].id), "")


def test_a_run_shows_the_premise_that_it_or_another_job_measured(lab: Lab) -> None:
    add_run(lab.database)
    teacher, evaluate = {"context": "earlier-turn"}, {"premise": False}
    config = resolve({"method": "sdft/small-model", "task": "lights@1", "model": "m",
                      "teacher": teacher, "evaluate": evaluate})  # fmt: skip
    run = {"id": "r", "kind": "train", "result": {}, "config": config.model_dump()}
    assert _premise(lab, run) == "The premise in form earlier-turn is not measured yet."
    check = {"verdict": "go", "teacher": {"score": 0.75}}
    found = {"student": {"score": 0.25, "n": 8}, "by_context": {"earlier-turn": check},
             "context": "earlier-turn"}  # fmt: skip
    job = add_run(lab.database, "check", kind="premise", result={"premise": found}, model="m")
    assert _premise(lab, run) == (
        "The premise is go: in form earlier-turn the teacher scores 75% against the student's 25% "
        f"on 8 rows (check, {job.id[:8]})."
    )
    own = {**run, "result": {"premise": {"sentence": "weak: of its own"}}}
    assert _premise(lab, own) == "Premise weak: of its own."
    assert _premise(lab, {**run, "config": {"model": "m"}}) == "", "of another version of the lab"
    assert _premise(lab, {**run, "kind": "evaluate", "config": {}}) == ""


def test_a_launch_form_that_is_being_filled_has_no_mistakes_yet(lab: Lab) -> None:
    """A browser fills in task and model last, and asks for the plan meanwhile."""
    _, _, *rest = field_values(start(lab, {})[0])
    events = _Events(lab, Once())
    assert events.plan(None, None, *rest, False, False) == [gr.skip()] * 4
    told, *_ = events.plan(None, "bundled:smollm2-135m-instruct", *rest, False, False)
    assert told["problems"]["launch-task"] == "no task is chosen; choose one"


def scored(lab: Lab, name: str, **values: Any) -> str:
    run = add_run(lab.database, name, **values)
    for step in (0, 10):
        for probe in (f"task:{values.get('task', 'lights')}", "prior:facts", "prior:instructions"):
            add_scores(lab.database, run, probe, step, {"a": 0.0, "b": step / 10})
    return str(run.id)


def values(lab: Lab, **query: str) -> list[Any]:
    listed = lab.views.scored_runs()
    chosen, missing = _chosen(listed, query)
    document = _find(lab, chosen)
    return _values(listed, document, query, missing, partial(_charts, document))


def test_the_newest_group_is_shown_unless_the_address_names_others(lab: Lab) -> None:
    old = scored(lab, "old", group_id="g")
    new = [scored(lab, name, group_id="h") for name in ("new", "newer")]
    listed = lab.views.scored_runs()
    assert _chosen(listed, {}) == (tuple(new), "")
    assert _chosen(listed, {"runs": f"{old},{new[0]},{old}"}) == ((old, new[0]), "")
    chosen, missing = _chosen(listed, {"runs": f"{old},<script>"})
    assert chosen == (old,)
    assert missing == "runs: no run with scores is called <script>"
    assert _chosen([], {}) == ((), "")


def test_a_task_chooses_its_newest_group(lab: Lab) -> None:
    lights = scored(lab, "lights")
    scored(lab, "dates", task="dates")
    assert _chosen(lab.views.scored_runs(), {"task": "lights"})[0] == (lights,)


def test_probes_and_prior_follow_the_address_and_nonsense_shows_all(lab: Lab) -> None:
    run = scored(lab, "one")
    choice, _, gain, panels, table, _ = values(lab, runs=run, probes="prior:facts,nonsense")
    assert [each["key"] for each in panels["charts"]] == ["prior:facts"]
    assert [each["probe"] for each in table["changes"]] == ["prior:facts"]
    assert gain["title"].endswith("change of prior:facts")
    assert [p["chosen"] for p in choice["probes"]] == [False, True, False]
    nonsense = values(lab, runs=run, probes="nonsense", prior="prior:instructions")
    assert len(nonsense[3]["charts"]) == 3
    assert nonsense[2]["title"].endswith("change of prior:instructions")
    json.dumps(nonsense, allow_nan=False)


def test_of_many_launches_the_newest_and_the_chosen_are_offered(lab: Lab) -> None:
    first, *others = [scored(lab, f"run {i}") for i in range(33)]
    choice = values(lab, runs=first)[0]
    assert [group["id"] for group in choice["groups"]] == [*others[::-1][:30], first]
    assert choice["left_off"] == 2


def test_a_run_keeps_its_colour_when_others_are_left_out(lab: Lab) -> None:
    first, second = scored(lab, "first"), scored(lab, "second")
    both = values(lab, runs=f"{first},{second}")[4]["colours"]
    alone = values(lab, runs=second)[4]["colours"]
    assert both[second] == alone[second] != both[first]


def test_finding_and_items_come_with_the_runs(lab: Lab) -> None:
    run = scored(lab, "one")
    words, items = (values(lab, runs=run)[i] for i in (1, 5))
    assert words["found"][0].startswith("one after 10 steps: task +50 points")
    assert [len(found["learned"]) for found in items["items"]["prior:facts"]] == [1]


def test_runs_on_different_tasks_stand_side_by_side_without_a_comparison(lab: Lab) -> None:
    runs = [scored(lab, task, task=task) for task in ("lights", "dates")]
    words = values(lab, runs=",".join(runs))[1]
    assert [told.split()[0] for told in words["found"]] == ["lights", "dates"]
    assert any("different tasks" in told for told in words["cautions"])
