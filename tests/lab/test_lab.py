"""The verbs of the lab, through its public face, with jobs that run in this process."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.errors import ConfigError, ModelError, NotFound, StateError
from backend.lab import Lab
from storage.traces import Traces
from tests.cli import contract
from tests.lab.tiny_tasks import rows

Train = Callable[..., Any]
LONG = "on the light " * 400


def test_a_run_goes_from_queued_to_done(
    lab: Lab, add_task: Callable[..., str], train: Train
) -> None:
    run = train(add_task())
    contract.check(contract.Run, run)
    assert (run["state"], run["error"], run["attempt"]) == ("done", None, 1)
    assert run["progress"]["step"] == run["progress"]["total"] == 2
    assert [point["step"] for point in run["checkpoints"]] == [2]
    assert [artifact["kind"] for artifact in run["artifacts"]] == ["adapter"]
    assert lab.run(run["id"]) == run
    assert lab.runs() == [run]


def test_a_baseline_differs_in_the_methods_choices_only(
    lab: Lab, add_task: Callable[..., str], train: Train
) -> None:
    sdft, sft = train(add_task(), baseline="sft", seed=5)
    assert [run["state"] for run in (sdft, sft)] == ["done", "done"]
    assert sdft["group"] == sft["group"] is not None
    compared = lab.compare([sdft["id"], sft["id"]])
    contract.check(contract.Comparison, compared)
    assert compared["comparable"]
    groups = {key.split(".")[0] for key in compared["config_differences"][0]["settings"]}
    assert groups <= {"method", "rollout", "teacher", "divergence", "token_weights", "optimizer"}
    assert [pair["probe"] for pair in compared["pairs"]] == ["task:lights"]


def test_runs_on_different_tasks_are_not_comparable(
    lab: Lab, add_task: Callable[..., str], train: Train
) -> None:
    other = add_task("others", training=rows(8, first=50))
    compared = lab.compare([train(task, "sft")["id"] for task in (add_task(), other)])
    assert not compared["comparable"]
    assert "they were trained on different task versions" in compared["why_not"]


def test_rows_that_are_too_long_are_counted_and_never_trained_on(
    lab: Lab, add_task: Callable[..., str], train: Train
) -> None:
    long = [{"id": f"long-{i}", "prompt": f"{i} {LONG}", "answer": "x"} for i in range(3)]
    run = train(add_task(training=rows(4) + long), "sft", steps=4)
    assert run["state"] == "done"
    (event,) = [event for event in run["events"] if "too long" in event["message"]]
    assert event["level"] == "warning"
    assert event["message"].startswith("3 of 7 training rows")
    seen = Traces(lab.database).of_run(run["id"])
    used = {trace.demonstration_id for trace in seen if trace.kind == "sampled"}
    assert used == {f"row-{i}" for i in range(1, 5)}


def test_a_task_whose_rows_are_all_too_long_fails_with_the_reason(
    lab: Lab, add_task: Callable[..., str], train: Train
) -> None:
    long = [{"prompt": f"{i} {LONG}", "answer": "x"} for i in range(3)]
    run = train(add_task(training=long), "sft")
    contract.check(contract.Run, run)
    assert run["state"] == "failed"
    assert run["error"]["code"] == "bad_data"
    assert "all 3 training rows are too long" in run["error"]["message"]
    assert "which reads 512 tokens" in run["error"]["message"]
    assert run["error"]["remedy"].startswith("shorten the prompts")
    assert run["checkpoints"] == run["artifacts"] == []
    assert Traces(lab.database).of_run(run["id"]) == []


def test_a_premise_that_no_row_fits_is_told_without_a_score(
    lab: Lab, tmp_path: Path, tiny_folder: Path
) -> None:
    file = tmp_path / "long.csv"
    file.write_text("prompt,answer\n" + "".join(f"{i} {LONG[:900]},{LONG}\n" for i in range(4)))
    lab.add_task(file, "long")
    document = {"task": "long", "model": str(tiny_folder), "max_new_tokens": 4}
    (run,) = lab.wait([lab.premise(document)])
    assert run["state"] == "done", run["error"]
    premise = run["result"]["premise"]
    assert premise["verdict"] == "no-go"
    assert premise["too_long"] == 1


def test_a_run_that_diverges_fails_and_its_document_stays_json(
    lab: Lab, add_task: Callable[..., str], train: Train
) -> None:
    optimizer = {"learning_rate": 1e30, "warmup_steps": 0}
    run = train(add_task(), "sft", steps=9, optimizer=optimizer)
    assert run["state"] == "failed"
    assert "the loss of step" in run["error"]["message"]
    assert "lower optimizer.learning_rate" in run["error"]["remedy"]
    assert all(value is None or math.isfinite(value) for value in run["metrics"].values())
    contract.check(contract.Run, run)


def test_a_run_can_start_from_anothers_adapter(
    lab: Lab, add_task: Callable[..., str], train: Train
) -> None:
    first = train(add_task(), "sft", optimizer={"learning_rate": 0.05, "warmup_steps": 0})
    second = train("lights", "sft", start_from=first["id"][:8])
    assert second["config"]["start_from"] == first["id"]

    def scores(run: dict[str, Any], step: int) -> list[float]:
        return [e["score"] for e in run["evaluations"] if e["step"] == step]

    assert scores(second, 0) == scores(first, 2)


def test_a_base_models_scores_are_measured_once(
    lab: Lab, add_task: Callable[..., str], train: Train
) -> None:
    first, second = (train(add_task(), method) for method in ("sft", "sdft"))
    base = [
        [(e["probe"], e["score"], e["n"]) for e in run["evaluations"] if e["step"] == 0]
        for run in (first, second)
    ]
    assert base[0] == base[1] != []


def test_an_evaluation_of_a_run_belongs_to_the_evaluation(
    lab: Lab, add_task: Callable[..., str], train: Train
) -> None:
    run = train(add_task(), "sft", checkpoint_every=1)
    for checkpoint, step in ((None, 2), (1, 1)):
        document: dict[str, Any] = {"probes": ["task", "prior:instructions"], "limit": 3}
        if checkpoint is not None:
            document["checkpoint"] = checkpoint
        (scored,) = lab.wait([lab.evaluate(run["id"], document)])
        assert scored["state"] == "done", scored["error"]
        contract.check(list[contract.Evaluation], scored["evaluations"])
        assert [(e["probe"], e["step"], e["n"]) for e in scored["evaluations"]] == [
            ("prior:instructions", step, 3),
            ("task:lights", step, 3),
        ]
    assert lab.run(run["id"]) == run


def test_what_cannot_be_evaluated_is_refused_before_it_is_queued(
    lab: Lab, add_task: Callable[..., str], train: Train, tiny_folder: Path
) -> None:
    run = train(add_task(), "sft")
    with pytest.raises(StateError, match=r"no checkpoint of step 1, only of 2"):
        lab.evaluate(run["id"], {"probes": ["task"], "checkpoint": 1})
    with pytest.raises(ConfigError, match="the probe task needs a run that has one"):
        lab.evaluate(str(tiny_folder), {"probes": ["task"]})
    with pytest.raises(NotFound, match='no task "none"'):
        lab.evaluate(str(tiny_folder), {"probes": ["task:none"]})
    assert [each["kind"] for each in lab.runs()] == ["train"]


def test_what_cannot_be_trained_is_refused_before_it_is_queued(
    lab: Lab, add_task: Callable[..., str], tiny_folder: Path
) -> None:
    good = {"task": add_task(), "method": "sft", "model": str(tiny_folder)}
    for change, error, found in (
        ({"task": "none"}, NotFound, 'no task "none"'),
        ({"model": "none"}, ModelError, "no model that the lab can find"),
        ({"evaluate": {"probes": ["none"]}}, ConfigError, 'no probe "none"'),
        ({"start_from": "none"}, NotFound, 'no run "none"'),
        ({"method": "sdft", "teacher": {"context": "none"}}, ConfigError, 'no context "none"'),
    ):
        with pytest.raises(error, match=found):
            lab.configure({**good, **change})
    with pytest.raises(ConfigError, match='no context "none"'):
        lab.premise({"task": "lights", "model": str(tiny_folder), "context": "none"})
    assert lab.runs() == []


def test_a_relative_model_folder_means_the_same_to_the_worker(
    lab: Lab, add_task: Callable[..., str], train: Train, tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tiny_folder.parent)
    run = train(add_task(), "sft", model=tiny_folder.name)
    assert run["model"] == run["config"]["model"] == str(tiny_folder.resolve())


def test_a_stopped_queued_run_is_not_started(
    lab: Lab, add_task: Callable[..., str], tiny_folder: Path
) -> None:
    document = {"task": add_task(), "method": "sft", "model": str(tiny_folder)}
    (run_id,) = lab.train(lab.configure(document))
    assert lab.stop(run_id)["state"] == "cancelled"
    (run,) = lab.wait([run_id])
    assert (run["state"], run["attempt"]) == ("cancelled", 0)
    with pytest.raises(StateError, match="has no checkpoint yet"):
        lab.export(run_id, lab.settings.home / "adapter")


def test_a_failed_run_can_be_resumed_once_the_cause_is_gone(
    lab: Lab, add_task: Callable[..., str], train: Train, tiny_folder: Path, tmp_path: Path
) -> None:
    away = tmp_path / "model"
    away.symlink_to(tiny_folder)
    document = {"task": add_task(), "method": "sft", "model": str(away), "steps": 1,
                "evaluate": {"probes": ["task"], "max_new_tokens": 4}}  # fmt: skip
    (config,) = lab.configure(document)
    (run_id,) = lab.train([config.model_copy(update={"model": str(away)})])
    away.rename(tmp_path / "moved")
    (failed,) = lab.wait([run_id])
    assert failed["state"] == "failed"
    assert failed["error"]["code"] == "bad_model"
    (tmp_path / "moved").rename(away)
    lab.resume(run_id)
    (run,) = lab.wait([run_id])
    assert (run["state"], run["attempt"], run["error"]) == ("done", 2, None)


def test_what_runs_found_is_told_in_sentences(
    lab: Lab, add_task: Callable[..., str], train: Train
) -> None:
    evaluate = {"every": 1, "probes": ["task", "prior:facts"], "limit": 4, "along_limit": 3,
                "max_new_tokens": 4, "premise": False}  # fmt: skip
    runs = [train(add_task(), m, name=m, evaluate=evaluate) for m in ("sft", "sdft")]
    told = lab.findings([run["id"] for run in runs])
    assert told[0].startswith("sft after ")
    assert "task +0 points (95 % from " in told[0]
    assert "so no change can be shown" in told[0]
    assert "prior:facts" in told[0]
    assert any("sdft against sft at equal steps" in line for line in told)
    assert any("at equal skill" in line for line in told)
