"""Models that a job writes: queued, waited for, and copied to where the user wants them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from backend.atomic import file_sha256, folder_sha256
from backend.bootstrap import build_lab
from backend.errors import ModelError, NotFound, StateError, UserError
from backend.jobs.launchers import launch_inline
from backend.lab import Lab
from tests.cli import contract


@pytest.fixture
def run_id(add_task: Callable[..., str], train: Callable[..., Any]) -> str:
    run_id: str = train(add_task(), "sft", checkpoint_every=1)["id"]
    return run_id


@pytest.fixture
def exporting(lab: Lab) -> Iterator[Lab]:
    """The same lab, whose workers only export."""
    other = build_lab(lab.settings, partial(launch_inline, work="tests.lab.export_work"))
    yield other
    other.close()


def test_a_merged_model_is_a_folder_where_the_user_wants_it(
    exporting: Lab, run_id: str, tmp_path: Path
) -> None:
    exported = exporting.export(run_id[:8], tmp_path / "model", "merged")
    contract.check(contract.Exported, exported)
    assert exported["path"] == str(tmp_path / "model")
    assert exported["sha256"] == folder_sha256(tmp_path / "model")
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        "config.json",
        "model.safetensors",
    }
    job = exporting.runs()[0]
    contract.check(contract.Run, job)
    assert (job["kind"], job["state"], job["task"]) == ("export", "done", "lights")
    assert job["config"] == {"run": run_id, "format": "merged", "checkpoint": None}
    assert list(tmp_path.glob("*.partial")) == []


def test_a_gguf_file_goes_into_a_folder_or_under_its_name(
    exporting: Lab, run_id: str, tmp_path: Path
) -> None:
    for target, file in (("m.gguf", "m.gguf"), ("folder", "folder/model.gguf")):
        exported = exporting.export(run_id, tmp_path / target, "gguf", 2)
        assert exported["path"] == str(tmp_path / target)
        assert exported["sha256"] == file_sha256(tmp_path / file)
    assert exporting.runs()[0]["config"]["checkpoint"] == 2


def test_a_job_that_fails_says_why_and_leaves_nothing(
    exporting: Lab, run_id: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="its layers cannot be merged; use peft") as failed:
        exporting.export(run_id, tmp_path / "model", "merged", 1)
    assert failed.value.code == ModelError.code
    assert not (tmp_path / "model").exists()


def test_what_cannot_be_exported_is_refused_before_it_is_queued(
    exporting: Lab, run_id: str, tmp_path: Path
) -> None:
    (tmp_path / "there").mkdir()
    for target, form, checkpoint, error, found in (
        ("there", "merged", None, StateError, "something at this place already"),
        ("model.zip", "merged", None, UserError, "not packed as a ZIP file"),
        ("model", "onnx", None, UserError, 'no export as "onnx"'),
        ("model", "gguf", 7, StateError, "no checkpoint of step 7, only of 1, 2"),
    ):
        with pytest.raises(error, match=found):
            exporting.export(run_id, tmp_path / target, form, checkpoint)
    with pytest.raises(NotFound):
        exporting.export("none", tmp_path / "model", "merged")
    with pytest.raises(UserError, match='no job writes "peft"'):
        exporting.start_export(run_id, "peft")
    assert [run["kind"] for run in exporting.runs()] == ["train"]
