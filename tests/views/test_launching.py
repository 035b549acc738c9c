"""The launch page's buttons: a run and its baseline, the premise before it, and double clicks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.components.problems import no_problems
from app.pages.launch_form import Form, field_values
from app.pages.launch_plan import command, configure
from app.pages.launch_start import settings_query, start
from app.pages.launching import check_premise, end_premise, launch, premise_of
from app.pages.once import WINDOW_S, Once
from backend.config import RunConfig
from backend.errors import NotFound
from backend.lab import Lab
from storage.models import Run

SCORE = {"score": 0.5, "n": 32, "low": 0.3, "high": 0.7, "nats_per_token": 1.0}


@pytest.fixture
def config(lab: Lab, add_task: Callable[..., str], model: str) -> RunConfig:
    document = {"task": add_task(), "model": model, "method": "sdft", "steps": 3}
    return lab.configure(document)[0]


def form(config: RunConfig, *, baseline: bool = False, anyway: bool = False) -> Form:
    *values, settings = field_values(config)
    return Form(tuple(values), settings, baseline, anyway)


def told_premise(lab: Lab, config: RunConfig, **verdicts: str) -> str:
    """A finished premise check with these verdicts by context, the first the best."""
    run = lab.premise({"task": config.task, "model": config.model})
    contexts = {name.replace("_", "-"): verdict for name, verdict in verdicts.items()}
    checks = {
        name: {"verdict": verdict, "teacher": SCORE, "too_long": 0}
        for name, verdict in contexts.items()
    }
    best, verdict = next(iter(contexts.items()))
    found = {"verdict": verdict, "sentence": f"{verdict}: so it is", "context": best}
    found |= {"student": SCORE, "teacher": SCORE, "by_context": checks}
    with lab.database.write() as session:
        row = session.get(Run, run)
        assert row is not None
        row.state, row.result = "done", {"premise": found}
    return run


def test_a_launch_queues_the_run_and_leads_to_its_page(lab: Lab, config: RunConfig) -> None:
    told = launch(lab, Once(), form(config), "me")
    (run,) = lab.runs()
    assert told["go"] == f"run?id={run['id']}"
    assert run["config"] == config.as_document()


def test_a_baseline_goes_first_and_both_are_one_group(lab: Lab, config: RunConfig) -> None:
    told = launch(lab, Once(), form(config, baseline=True), "me")
    sdft, sft = lab.runs()
    assert (sft["method"], sdft["method"]) == ("sft/small-model", "sdft/small-model")
    assert sft["group"] == sdft["group"] is not None
    assert told["go"] == f"run?id={sdft['id']}"


def test_a_double_click_launches_once(lab: Lab, config: RunConfig) -> None:
    now = [100.0]
    once = Once(clock=lambda: now[0])
    first = launch(lab, once, form(config), "me")
    now[0] += WINDOW_S / 2
    assert launch(lab, once, form(config), "me") == first
    assert len(lab.runs()) == 1
    # Other wishes, other people, and the same wish later on are meant.
    launch(lab, once, form(config, baseline=True), "me")
    launch(lab, once, form(config), "you")
    now[0] += WINDOW_S
    launch(lab, once, form(config), "me")
    assert len(lab.runs()) == 5


def test_a_launch_that_failed_may_be_repeated_at_once() -> None:
    once = Once(clock=lambda: 0.0)
    answers = iter([RuntimeError("no"), "yes"])

    def act() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(RuntimeError):
        once("key", act)
    assert once("key", act) == "yes"


def test_mistakes_launch_nothing(lab: Lab, config: RunConfig) -> None:
    told = launch(lab, Once(), form(config).replaced("steps", 0), "me")
    assert list(told["problems"]) == ["launch-steps"]
    assert told["focus"]
    assert lab.runs() == []


def test_a_run_of_days_asks_for_a_word_first(lab: Lab, config: RunConfig) -> None:
    long = config.model_copy(update={"steps": 2 * 10**8})
    told = launch(lab, Once(), form(long), "me")
    assert list(told["problems"]) == ["launch-steps"]
    assert lab.runs() == []
    assert "go" in launch(lab, Once(), form(long, anyway=True), "me")


def test_a_premise_that_is_no_go_asks_for_a_word_first(lab: Lab, config: RunConfig) -> None:
    told_premise(lab, config, paper="go", earlier_turn_twice="no-go")
    told = launch(lab, Once(), form(config), "me")
    assert list(told["problems"]) == ["launch-anyway"]
    for advice in ("another context", "a larger model", "shorter prompts"):
        assert advice in told["problems"]["launch-anyway"]
    assert "try teacher.context paper, which is go (50%)" in told["problems"]["launch-anyway"]
    assert [run["kind"] for run in lab.runs()] == ["premise"]
    assert "go" in launch(lab, Once(), form(config, anyway=True), "me")
    assert lab.runs()[0]["config"]["anyway"] is True
    assert lab.runs()[0]["result"]["overruled"].startswith("launched anyway, although the premise")


def test_a_run_that_is_done_again_asks_for_the_word_again(lab: Lab, config: RunConfig) -> None:
    told_premise(lab, config, earlier_turn_twice="no-go")
    (run,) = lab.train([config.model_copy(update={"anyway": True})])
    again, problem = start(lab, {"from": run})
    assert problem == ""
    assert list(launch(lab, Once(), form(again), "me")["problems"]) == ["launch-anyway"]
    assert "anyway" not in settings_query(again)


def test_the_command_says_what_the_box_says(lab: Lab, config: RunConfig) -> None:
    told_premise(lab, config, earlier_turn_twice="no-go")
    (ticked,), _ = configure(lab, form(config, anyway=True))
    assert command(ticked, baseline=False).endswith(" --anyway --wait")
    assert "--anyway" not in command(config, baseline=False)


def test_a_method_without_a_teacher_does_not_rest_on_the_premise(
    lab: Lab, config: RunConfig
) -> None:
    told_premise(lab, config, earlier_turn_twice="no-go")
    (sft,) = lab.configure({"task": config.task, "model": config.model, "method": "sft"})
    assert not premise_of(lab, sft)["is_no_go"]
    assert "go" in launch(lab, Once(), form(sft), "me")


def test_the_verdict_is_that_of_the_runs_own_context(lab: Lab, config: RunConfig) -> None:
    told_premise(lab, config, paper="go", earlier_turn_twice="weak")
    found = premise_of(lab, config)["found"]
    assert (found["verdict"], found["is_own"], found["best"]) == ("weak", True, "paper")
    other = lab.views.premise(config.task, config.model, "system")["found"]
    assert (other["verdict"], other["is_own"]) == ("go", False)


def test_all_figures_of_a_check_are_shown(lab: Lab, config: RunConfig, tiny_folder: Path) -> None:
    config = config.model_copy(update={"model": str(tiny_folder)})
    document = {"task": config.task, "model": config.model, "context": "paper", "limit": 4}
    (job,) = lab.wait([lab.premise({**document, "max_new_tokens": 3})])
    told = job["result"]["premise"]
    found = premise_of(lab, config)["found"]
    assert found["student"]["nats_per_token"] == told["student"]["nats_per_token"] > 0
    for shown in found["contexts"]:
        check = told["by_context"][shown["context"]]
        assert {name: shown[name] for name in ("wins", "losses", "kl", "copied", "too_long")} == {
            name: check[name] for name in ("wins", "losses", "kl", "copied", "too_long")
        }
        for name in ("nats_per_token", "whole_probability"):
            assert shown["teacher"][name] == check["teacher"][name] is not None


def test_the_newest_finding_that_knows_the_context_counts(lab: Lab, config: RunConfig) -> None:
    told_premise(lab, config, earlier_turn_twice="go")
    mine = told_premise(lab, config, earlier_turn_twice="no-go")
    newest = told_premise(lab, config, paper="weak")
    assert premise_of(lab, config)["found"]["run"] == mine
    assert lab.views.premise(config.task, config.model, "system")["found"]["run"] == newest


def test_findings_on_other_models_and_versions_do_not_count(
    lab: Lab, config: RunConfig, add_task: Callable[..., str]
) -> None:
    told_premise(lab, config, earlier_turn_twice="no-go")
    assert lab.views.premise(config.task, "bundled:smollm2-135m-instruct")["found"] is None
    add_task(count=9)
    assert lab.views.premise("lights", config.model)["found"] is None
    assert lab.views.premise("lights@1", config.model)["found"] is not None
    with pytest.raises(NotFound):
        lab.views.premise("none", config.model)


def test_a_premise_check_is_queued_once_and_shown_while_it_waits(
    lab: Lab, config: RunConfig
) -> None:
    for _ in range(2):
        assert check_premise(lab, Once(), form(config), "me") == {"problems": {}}
    (run,) = lab.runs()
    assert (run["kind"], run["config"]["context"]) == ("premise", "auto")
    assert run["config"]["task"] == "lights@1"
    pending = premise_of(lab, config)["pending"]
    assert (pending["run"], pending["state"]) == (run["id"], "queued")
    assert end_premise(lab, config) == no_problems()
    assert lab.run(run["id"])["state"] == "cancelled"
    assert premise_of(lab, config)["pending"] is None
    assert end_premise(lab, config) == no_problems()
    told = check_premise(lab, Once(), form(config).replaced("model", "/etc"), "me")
    assert list(told["problems"]) == ["launch-model"]


def test_models_at_hand_are_the_bundled_one_and_those_that_were_used(
    lab: Lab, config: RunConfig
) -> None:
    assert lab.views.models() == ["bundled:smollm2-135m-instruct"]
    lab.train([config])
    assert lab.views.models() == ["bundled:smollm2-135m-instruct", config.model]


def test_a_premise_in_a_lab_without_the_task_is_unknown(lab: Lab, config: RunConfig) -> None:
    gone: dict[str, Any] = premise_of(lab, config.model_copy(update={"task": "none"}))
    assert (gone["found"], gone["pending"], gone["is_no_go"]) == (None, None, False)
