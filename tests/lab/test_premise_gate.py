"""A run whose premise was found to be no-go is refused at every door, and goes if told so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.errors import StateError
from backend.lab import Lab
from tests.cli.contract import Run as RunDocument
from tests.cli.contract import check as check_document

NO_GO = (
    "the premise is no-go: in form earlier-turn the teacher scores 0% against the student's 0% on "
    "3 rows"
)


@pytest.fixture
def document(add_task: Callable[..., str], tiny_folder: Path) -> dict[str, Any]:
    return {
        "task": add_task(),
        "method": "sdft",
        "model": str(tiny_folder),
        "steps": 1,
        "batch_size": 2,
        "rollout": {"source": "student", "max_new_tokens": 4},
        "teacher": {"context": "earlier-turn"},
        "evaluate": {"probes": ["task"], "max_new_tokens": 4},
        "traces": {"every": 0},
    }


def find_no_go(lab: Lab, document: dict[str, Any], context: str = "earlier-turn") -> None:
    """A random model answers nothing right, whatever it is shown."""
    checked = {"task": document["task"], "model": document["model"], "context": context}
    (job,) = lab.wait([lab.premise({**checked, "max_new_tokens": 4})])
    assert job["result"]["premise"]["verdict"] == "no-go"


def test_what_is_not_measured_goes_and_is_said_to_be_measured(
    lab: Lab, document: dict[str, Any]
) -> None:
    (config,) = lab.configure(document)
    assert lab.premise_words(config) == (
        "the premise in form earlier-turn is not measured yet; the run measures it before its "
        "first step"
    )
    assert lab.train([config])


def test_a_no_go_is_refused_with_what_to_try_next(lab: Lab, document: dict[str, Any]) -> None:
    find_no_go(lab, document)
    configs = lab.configure(document, baseline="sft")
    with pytest.raises(StateError) as refused:
        lab.train(configs)
    assert NO_GO in refused.value.message
    assert refused.value.remedy == (
        "try another context, a larger model or shorter prompts, or launch anyway with --anyway"
    )
    assert [run["kind"] for run in lab.runs()] == ["premise"], "nothing is queued, no baseline"
    (config,) = lab.configure({**document, "teacher": {"context": "paper"}})
    assert lab.train([config]), "another context is another premise"


def test_what_goes_anyway_says_so(lab: Lab, document: dict[str, Any]) -> None:
    find_no_go(lab, document)
    (run,) = lab.wait(lab.train(lab.configure({**document, "anyway": True})))
    assert run["state"] == "done", run["error"]
    check_document(RunDocument, run)
    assert run["config"]["anyway"] is True
    assert run["result"]["overruled"].startswith(f"launched anyway, although {NO_GO} (lights")
    assert run["result"]["premise"]["verdict"] == "no-go", "and it is measured anew"


def test_a_run_told_anyway_without_need_overrules_nothing(
    lab: Lab, document: dict[str, Any]
) -> None:
    (queued,) = lab.train(lab.configure({**document, "anyway": True}))
    assert lab.run(queued)["result"] == {}


def test_a_training_runs_own_measurement_counts_as_well(lab: Lab, document: dict[str, Any]) -> None:
    (first,) = lab.wait(lab.train(lab.configure(document)))
    assert first["state"] == "done", first["error"]
    with pytest.raises(StateError, match=r"no-go: in form earlier-turn"):
        lab.train(lab.configure(document))
    (later,) = lab.configure({**document, "start_from": first["id"]})
    assert lab.train([later]), "its student begins elsewhere: nobody measured that one"


@pytest.mark.parametrize("method", ["sft", "ssd", "sdpo", "reinvoke"])
def test_methods_that_show_no_demonstration_rest_on_no_premise(
    lab: Lab, document: dict[str, Any], method: str, train: Callable[..., Any]
) -> None:
    find_no_go(lab, document)
    plain = {key: document[key] for key in ("task", "model")}
    start = train(document["task"], "sft")["id"] if method == "reinvoke" else None
    (config,) = lab.configure({**plain, "method": method, "start_from": start})
    assert lab.premise_words(config) == ""
    assert lab.train([config])


def test_a_sequence_is_refused_before_it_is_queued_and_goes_on_afterwards(
    lab: Lab, document: dict[str, Any]
) -> None:
    find_no_go(lab, document)
    task = document.pop("task")
    plan = {"tasks": [task], "arms": [{"method": document.pop("method")}], **document}
    with pytest.raises(StateError, match=r"no-go: in form earlier-turn"):
        lab.start_sequence(plan)
    assert [run["kind"] for run in lab.runs()] == ["premise"]
    begun = lab.start_sequence({**plan, "anyway": True})
    assert lab.start_sequence({**plan, "anyway": True}) == begun
    (run,) = lab.sequence(begun)["arms"][0]["stages"]
    assert "launched anyway" in run["result"]["overruled"]
