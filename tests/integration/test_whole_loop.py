"""From a file to adapters, traces and a forgetting curve, with real workers on a tiny model."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from backend.atomic import file_sha256, folder_sha256
from backend.config import RunConfig
from backend.documents import validate
from backend.jobs.work.context import run_folder
from backend.training.checkpoints import load_adapter
from storage.models import Trace
from storage.traces import Traces
from tests.cli import contract
from tests.integration.conftest import BATCH, CANARY, STEPS, Loop
from tests.integration.plain_peft import plain_logits
from tests.lab.tiny_tasks import write_rows
from tests.tiny_model import load_tiny
from tests.training.tiny_runs import logits_of

TEXT = "question 3 is the light"


def traces_of(loop: Loop, run: Any, kind: str) -> list[Trace]:
    return [trace for trace in Traces(loop.lab.database).of_run(run["id"]) if trace.kind == kind]


def test_each_command_prints_its_document_and_tells_progress_on_stderr(loop: Loop) -> None:
    contract.check(contract.Added, loop.added)
    assert loop.added["rows"] == {"training": 18, "held_out": 6}
    assert any("also stands in the held-out file" in w for w in loop.added["report"]["warnings"])
    contract.check(contract.Premise, loop.premise)
    assert loop.premise["student"]["n"] == 4
    assert loop.premise["context"] in loop.premise["by_context"]
    contract.check(list[contract.Run], [loop.sdft, loop.sft])
    for line in ("sdft/small-model: about", ": training step ", "evaluating"):
        assert line in loop.told


def test_both_runs_are_done_and_shown_as_they_were_printed(loop: Loop) -> None:
    for run, method in ((loop.sdft, "sdft/small-model"), (loop.sft, "sft/small-model")):
        assert (run["state"], run["error"], run["attempt"]) == ("done", None, 1)
        assert (run["method"], run["task"], run["kind"]) == (method, "lights", "train")
        assert run["progress"]["step"] == run["progress"]["total"] == STEPS
        assert [point["step"] for point in run["checkpoints"]] == [4, 8, 12, 16]
        assert run["metrics"]["loss"] > 0
        assert loop.command("show", run["id"][:8]).done() == run
    listed = loop.lab.runs()
    contract.check(list[contract.Run], listed)
    assert {run["id"]: run for run in listed}[loop.sdft["id"]] == loop.sdft
    assert "premise" in loop.sdft["result"]
    assert "premise" not in loop.sft["result"]


def test_the_forgetting_curve_has_points_before_along_and_after(loop: Loop) -> None:
    for run in (loop.sdft, loop.sft):
        scores = {(e["probe"], e["step"], e["subset"]): e["n"] for e in run["evaluations"]}
        for probe in ("task:lights", "prior:instructions"):
            whole = {
                step: n for (p, step, subset), n in scores.items() if p == probe and not subset
            }
            along = {step: n for (p, step, subset), n in scores.items() if p == probe and subset}
            assert whole == {0: 6, STEPS: 6}
            assert along == {0: 4, 8: 4, STEPS: 4}
    before = [
        [(e["probe"], e["score"]) for e in run["evaluations"] if e["step"] == 0 and not e["subset"]]
        for run in (loop.sdft, loop.sft)
    ]
    assert before[0] == before[1]


def test_both_methods_see_the_same_rows_in_the_same_order(loop: Loop) -> None:
    orders = [
        [
            (trace.step, trace.position, trace.demonstration_id)
            for trace in traces_of(loop, run, "sampled")
        ]
        for run in (loop.sdft, loop.sft)
    ]
    assert orders[0] == orders[1]
    assert [place[:2] for place in orders[0]] == [
        (step, position) for step in range(1, STEPS + 1) for position in range(BATCH)
    ]


def test_traces_hold_both_prompts_and_arrays_of_the_completions_length(loop: Loop) -> None:
    stored = Traces(loop.lab.database)
    for run, has_teacher in ((loop.sdft, True), (loop.sft, False)):
        traces = stored.of_run(run["id"])
        assert {trace.kind for trace in traces} == {"watched", "sampled"}
        for trace in traces:
            arrays = stored.tokens(trace.id)
            assert arrays is not None
            roles = ["student", "teacher"] if has_teacher else ["student"]
            expected = dict.fromkeys(("token_ids_T", "weights_T", "divergence_T"), (trace.tokens,))
            for role in roles:
                expected |= {
                    f"{role}_{name}_T": (trace.tokens,) for name in ("logprobs", "entropy")
                }
                expected |= {
                    f"{role}_top_{name}_T5": (trace.tokens, 5) for name in ("ids", "logprobs")
                }
            assert {name: array.shape for name, array in arrays.items()} == expected
            assert trace.tokens >= 1
            assert trace.student_prompt.endswith("<|im_start|>assistant\n")
            assert (trace.teacher_prompt is not None) == has_teacher
            if trace.teacher_prompt is not None:
                assert trace.demonstration in trace.teacher_prompt
                assert trace.demonstration not in trace.student_prompt
            if trace.kind == "watched":
                assert (trace.teacher_answer is not None) == has_teacher
                assert trace.base_answer is not None


def test_held_out_rows_never_reach_training(loop: Loop) -> None:
    """Every row of every batch is traced: none may hold the canary, and none may be missing."""
    for run in (loop.sdft, loop.sft):
        sampled = traces_of(loop, run, "sampled")
        assert len(sampled) == STEPS * BATCH
        assert {trace.demonstration_id for trace in sampled} == {f"row-{i}" for i in range(1, 19)}
        for trace in sampled:
            read = (trace.student_prompt, trace.teacher_prompt or "", trace.completion)
            assert not [text for text in (*read, trace.demonstration) if CANARY in text]
        watched = traces_of(loop, run, "watched")
        assert all(CANARY in trace.student_prompt for trace in watched), "the canary can be seen"
        assert {trace.step for trace in watched} == set(range(STEPS + 1))


def test_evaluations_of_a_run_a_checkpoint_and_the_base_model(
    loop: Loop, tiny_folder: Path
) -> None:
    options = ("--probe", "task", "--probe", "prior:instructions", "--limit", 6, "--wait")
    last = loop.command("evaluate", loop.sdft["id"], *options).done()
    probes = {"probes": ["task:lights", "prior:instructions"], "limit": 6}
    others = [
        loop.lab.evaluate(loop.sdft["id"], {**probes, "checkpoint": 8}),
        loop.lab.evaluate(str(tiny_folder), probes),
    ]
    earlier, base = (run["evaluations"] for run in loop.lab.wait(others))
    for found, step in ((last, STEPS), (earlier, 8), (base, 0)):
        contract.check(list[contract.Evaluation], found)
        assert {(e["probe"], e["step"], e["n"]) for e in found} == {
            ("task:lights", step, 6),
            ("prior:instructions", step, 6),
        }
    # The run itself was measured on the same items at its ends.
    for found, step in ((last, STEPS), (base, 0)):
        own = {
            e["probe"]: e["score"]
            for e in loop.sdft["evaluations"]
            if e["step"] == step and not e["subset"]
        }
        assert {e["probe"]: e["score"] for e in found} == own


def test_a_step_computed_again_gives_what_was_stored(loop: Loop) -> None:
    """In another process, from the checkpoint of step 8, with rollouts of its own."""
    replayed = loop.command("replay", loop.sdft["id"], "--step", 10).done()
    contract.check(contract.Replay, replayed)
    assert replayed == {"equal": True, "first_difference": None}


def test_the_two_runs_are_compared_item_by_item(loop: Loop) -> None:
    compared = loop.command("compare", loop.sdft["id"], loop.sft["id"]).done()
    contract.check(contract.Comparison, compared)
    assert compared["comparable"]
    assert compared["why_not"] == []
    assert {pair["probe"] for pair in compared["pairs"]} == {"task:lights", "prior:instructions"}
    assert all(pair["low"] <= pair["difference"] <= pair["high"] for pair in compared["pairs"])
    (differences,) = compared["config_differences"]
    assert differences["settings"]["method"] == ["sdft/small-model", "sft/small-model"]


def test_an_exported_adapter_on_the_base_gives_the_lab_students_logits(
    loop: Loop, tiny_folder: Path, tmp_path: Path
) -> None:
    folder, archive = tmp_path / "adapter", tmp_path / "adapter.zip"
    for target, sha256 in ((folder, folder_sha256), (archive, file_sha256)):
        exported = loop.command("export", loop.sdft["id"], "--to", target).done()
        contract.check(contract.Exported, exported)
        assert exported["path"] == str(target)
        assert exported["sha256"] == sha256(target)
    with zipfile.ZipFile(archive) as packed:
        unpacked = {name: packed.read(name) for name in packed.namelist()}
    assert unpacked == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert unpacked.keys() >= {
        "adapter_model.safetensors", "adapter_config.json", "tokenizer.json", "README.md",
    }  # fmt: skip

    student = load_tiny(tiny_folder)
    base = logits_of(student, TEXT)
    student.add_adapter(validate(RunConfig, loop.sdft["config"], "run").adapter, seed=0)
    checkpoints = run_folder(loop.lab.settings, loop.sdft["id"]) / "checkpoints"
    load_adapter(student, checkpoints / f"step-{STEPS:08d}")
    alone = plain_logits(tiny_folder, folder, TEXT, tmp_path)
    torch.testing.assert_close(alone["adapted"], logits_of(student, TEXT))
    torch.testing.assert_close(alone["plain"], base)
    assert not torch.allclose(alone["adapted"], alone["plain"], atol=0.05)


def test_an_earlier_checkpoint_is_exported_as_it_was(loop: Loop, tmp_path: Path) -> None:
    checkpoints = run_folder(loop.lab.settings, loop.sdft["id"]) / "checkpoints"
    loop.lab.export(loop.sdft["id"], tmp_path / "a", checkpoint=8)
    exported = (tmp_path / "a" / "adapter_model.safetensors").read_bytes()
    assert exported == (checkpoints / "step-00000008" / "adapter_model.safetensors").read_bytes()
    assert exported != (checkpoints / "step-00000016" / "adapter_model.safetensors").read_bytes()


def test_a_finished_run_leaves_its_adapter_in_the_lab(loop: Loop) -> None:
    for run in (loop.sdft, loop.sft):
        (artifact,) = run["artifacts"]
        file = run_folder(loop.lab.settings, run["id"]) / "adapter.zip"
        assert artifact["kind"] == "adapter"
        assert artifact["sha256"] == file_sha256(file)
        assert artifact["bytes"] == file.stat().st_size


def test_no_partial_file_is_left_in_the_lab(loop: Loop) -> None:
    assert [path for path in loop.command.home.rglob("*") if ".partial" in path.name] == []


@pytest.mark.parametrize("target", ["full", "full.zip"])
def test_an_export_never_replaces_what_is_there(loop: Loop, target: str, tmp_path: Path) -> None:
    place = tmp_path / target
    if target == "full":
        place.mkdir()
        (place / "mine.txt").write_text("keep")
    else:
        place.write_text("keep")
    refused = loop.command("export", loop.sdft["id"], "--to", place)
    assert refused.code == 2
    contract.check(contract.Refused, refused.document)
    kept = place / "mine.txt" if target == "full" else place
    assert kept.read_text() == "keep"


def test_prompts_longer_than_the_context_end_the_run_with_the_reason(
    loop: Loop, tiny_folder: Path, tmp_path: Path
) -> None:
    long = [{"prompt": f"{i} " + "on the light " * 400, "answer": "x"} for i in range(4)]
    file = write_rows(tmp_path / "long.jsonl", long)
    loop.command("task", "add", file, "--name", "long").done()
    options = ("--task", "long", "--method", "sft", "--model", tiny_folder, "--steps", 1)
    queued = loop.command("train", *options).done()
    loop.lab.wait([queued["id"]])
    run = loop.command("show", queued["id"]).done()
    contract.check(contract.Run, run)
    assert run["state"] == "failed"
    assert run["error"]["code"] == "bad_data"
    assert "training rows are too long" in run["error"]["message"]
    assert run["error"]["remedy"].startswith("shorten the prompts")
    assert run["checkpoints"] == run["artifacts"] == []
