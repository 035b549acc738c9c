"""A run's student as a model of its own, made by a job; and a run of all weights in the lab."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from backend.atomic import file_sha256, folder_sha256
from backend.config import RunConfig
from backend.documents import validate
from backend.jobs import queue
from backend.jobs.work.context import run_folder
from backend.lab import Lab
from backend.models.language_model import LanguageModel
from backend.training.checkpoints import load_adapter
from storage.artifacts import Artifacts
from storage.models import Run
from storage.runs import Runs
from tests.tiny_model import load_tiny
from tests.training.tiny_runs import logits_of

TEXT = "the light is on you"
FULL: dict[str, Any] = {"adapter": {"full": True}, "optimizer": {"learning_rate": 1e-3}}


def export(lab: Lab, **config: Any) -> Run:
    """An export job, done here and now."""
    job = Run(name="export", kind="export", config=config, total_steps=1)
    (queued,) = queue.enqueue(lab.database, lab.settings, job)
    lab.wait([queued.id])
    done = Runs(lab.database).get(queued.id)
    assert done is not None
    return done


def student(lab: Lab, document: dict[str, Any], base: Path, step: int) -> LanguageModel:
    model = load_tiny(base)
    model.add_adapter(validate(RunConfig, document["config"], "run").adapter, seed=0)
    folder = run_folder(lab.settings, document["id"]) / "checkpoints" / f"step-{step:08d}"
    load_adapter(model, folder)
    return model


def test_merged_gives_a_registered_folder_with_the_students_logits(
    lab: Lab, add_task: Callable[..., str], train: Callable[..., Any], tiny_folder: Path
) -> None:
    run = train(add_task(), optimizer={"learning_rate": 0.01})
    done = export(lab, run=run["id"], format="merged")
    assert done.state == "done", done.error
    assert done.result is not None
    folder = Path(done.result["path"])
    assert done.result["sha256"] == folder_sha256(folder)
    artifact = Artifacts(lab.database).get(done.result["artifact"])
    assert artifact is not None
    assert (artifact.kind, artifact.run_id) == ("merged", run["id"])
    assert lab.settings.home / artifact.path == folder
    assert (artifact.sha256, artifact.bytes) == (done.result["sha256"], done.result["bytes"])
    plain = AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
    model = student(lab, run, tiny_folder, 2)
    ids = torch.tensor([model.tokenizer.encode(TEXT)])
    with torch.no_grad():
        logits = plain(input_ids=ids).logits[0]
    torch.testing.assert_close(logits, logits_of(model, TEXT), atol=2e-5, rtol=1e-4)
    card = (folder / "README.md").read_text("utf-8")
    assert "with a LoRA adapter merged into its weights" in card
    assert "PeftModel" not in card
    assert "library_name: transformers" in card


def test_the_same_export_again_replaces_the_first(
    lab: Lab, add_task: Callable[..., str], train: Callable[..., Any]
) -> None:
    run = train(add_task())
    results = [export(lab, run=run["id"]).result for _ in range(2)]
    assert results[0] == results[1]
    kinds = [artifact.kind for artifact in Artifacts(lab.database).of_run(run["id"])]
    assert sorted(kinds) == ["adapter", "merged"]


def test_gguf_gives_a_registered_file_of_an_earlier_checkpoint(
    lab: Lab, add_task: Callable[..., str], train: Callable[..., Any]
) -> None:
    run = train(add_task(), checkpoint_every=1)
    done = export(lab, run=run["id"], format="gguf", checkpoint=1)
    assert done.state == "done", done.error
    assert done.result is not None
    path = Path(done.result["path"])
    assert path.name == "step-00000001.gguf"
    assert path.read_bytes()[:4] == b"GGUF"
    artifact = Artifacts(lab.database).get(done.result["artifact"])
    assert artifact is not None
    assert (artifact.kind, artifact.sha256) == ("gguf", file_sha256(path))


def test_what_cannot_be_exported_fails_with_the_reason(
    lab: Lab, add_task: Callable[..., str], train: Callable[..., Any]
) -> None:
    run = train(add_task())
    for config, reason in (
        ({"run": run["id"], "checkpoint": 7}, "no checkpoint of step 7"),
        ({"run": "none"}, "there is no such run"),
        ({"run": run["id"], "format": "onnx"}, '"format" is'),
    ):
        failed = export(lab, **config)
        assert failed.state == "failed"
        assert failed.error is not None
        assert reason in failed.error["message"]


def test_a_run_of_all_weights_goes_through_the_lab(
    lab: Lab, add_task: Callable[..., str], train: Callable[..., Any], tiny_folder: Path
) -> None:
    """Trained, evaluated, resumed from its checkpoint's file, taken home and compared."""
    run = train(add_task(), **FULL)
    assert run["state"] == "done", run["error"]
    assert [artifact["kind"] for artifact in run["artifacts"]] == ["model"]
    archive = run_folder(lab.settings, run["id"]) / "model.zip"
    with zipfile.ZipFile(archive) as packed:
        names = packed.namelist()
        card = packed.read("README.md").decode()
    assert "model.safetensors" in names
    assert not [name for name in names if name.startswith("adapter")]
    assert "with all its weights, trained with sdlab" in card
    assert re.search(r"from_pretrained\(MODEL, dtype=\"float32\"\)", card)
    (job,) = lab.wait([lab.evaluate(run["id"], {"probes": ["task"], "max_new_tokens": 4})])
    assert job["state"] == "done", job["error"]
    assert [one["step"] for one in job["evaluations"]] == [2]
    done = export(lab, run=run["id"], format="merged")
    assert done.result is not None
    plain = AutoModelForCausalLM.from_pretrained(done.result["path"], dtype="float32")
    model = student(lab, run, tiny_folder, 2)
    ids = torch.tensor([model.tokenizer.encode(TEXT)])
    with torch.no_grad():
        torch.testing.assert_close(plain(input_ids=ids).logits[0], logits_of(model, TEXT))
