"""Taking a run's adapter out of the lab: what is written, what its card says, what is refused."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from backend.atomic import file_sha256, folder_sha256
from backend.config import Settings
from backend.errors import ModelError, NotFound, StateError, UserError
from backend.jobs import queue
from backend.jobs.exports import check_format, export_adapter, finished_adapter
from backend.training.checkpoints import SavedCheckpoint
from storage.artifacts import Artifacts, put_checkpoint
from storage.database import Database
from storage.evaluations import put_evaluation
from storage.models import Evaluation, Run
from storage.tasks import NewVersion, Tasks
from tests.export.tiny_checkpoint import TEXT, TinyCheckpoint, make_checkpoint
from tests.training.tiny_runs import tiny_config


@pytest.fixture(scope="module")
def trained(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> TinyCheckpoint:
    return make_checkpoint(tiny_folder, tmp_path_factory.mktemp("trained"))


@pytest.fixture
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is not the lab's."""
    return tmp_path_factory.mktemp("outside")


@pytest.fixture
def add_training_run(database: Database, settings: Settings, tiny_folder: Path) -> Any:
    """A queued training run on a task with one version."""

    def add(model: str = str(tiny_folder), kind: str = "train", **changes: Any) -> Run:
        new = NewVersion("feed5678", "exact", {}, {}, {}, (("training", {}), ("held_out", {})))
        version, _ = Tasks(database).add_version("tiny", new)
        config = tiny_config(model=model, **changes)
        run = Run(name="tiny · sdft", kind=kind, config=config.as_document(),
                  method=config.method, task_version_id=version.id, model=model)  # fmt: skip
        run.result = {"premise": {"sentence": "go: the teacher does better"}}
        return queue.enqueue(database, settings, run)[0]

    return add


@pytest.fixture
def add_checkpoint(database: Database, settings: Settings) -> Callable[..., SavedCheckpoint]:
    def add(run: Run, trained: TinyCheckpoint, step: int) -> SavedCheckpoint:
        folder = settings.home / "runs" / run.id / "checkpoints" / f"step-{step:08d}"
        shutil.copytree(trained.saved.folder, folder)
        path = folder.relative_to(settings.home).as_posix()
        with database.write() as session:
            put_checkpoint(session, run.id, step, path, trained.saved.sha256, 1)
        return SavedCheckpoint(step, folder, trained.saved.sha256, 1)

    return add


@pytest.fixture
def done(
    database: Database,
    add_training_run: Callable[..., Run],
    add_checkpoint: Callable[..., SavedCheckpoint],
    trained: TinyCheckpoint,
) -> Run:
    """A run of 6 steps with checkpoints after 3 and 6, measured whole at its ends."""
    run = add_training_run()
    for step in (3, 6):
        add_checkpoint(run, trained, step)
    for step, subset, score in ((0, False, 0.0), (6, False, 0.75), (0, True, 0.1), (3, True, 0.5)):
        add_evaluation(database, run, step, score, subset)
    return run


def add_evaluation(database: Database, run: Run, step: int, score: float, subset: bool) -> None:
    n = 24 if subset else 96
    row = Evaluation(run_id=run.id, step=step, subset=subset, probe="task:tiny", metric="exact",
                     score=score, n=n, low=score / 2, high=score, fingerprint="",
                     details={})  # fmt: skip
    with database.write() as session:
        put_evaluation(session, row, [])


def test_the_cards_own_lines_load_the_adapter_and_give_the_students_logits(
    database: Database,
    settings: Settings,
    done: Run,
    trained: TinyCheckpoint,
    outside: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exported = export_adapter(database, settings, done.id, outside / "adapter")
    card = (exported.path / "README.md").read_text("utf-8")
    code = re.findall(r"```python\n(.*?)```", card, re.DOTALL)[-1]
    assert 'BASE = "tiny-llama"' in code
    monkeypatch.chdir(exported.path)
    values: dict[str, Any] = {}
    exec(code.replace('BASE = "tiny-llama"', f'BASE = "{trained.base}"'), values)
    inputs = values["tokenizer"](TEXT, add_special_tokens=False, return_tensors="pt")
    with torch.no_grad():
        logits_LV = values["model"](**inputs).logits[0]
    torch.testing.assert_close(logits_LV, trained.logits_LV)


def test_the_card_tells_the_runs_task_premise_and_scores(
    database: Database, settings: Settings, done: Run, outside: Path
) -> None:
    exported = export_adapter(database, settings, done.id, outside / "adapter")
    card = (exported.path / "README.md").read_text("utf-8")
    assert "tiny, version 1: 1 training rows; 1 held-out rows" in card
    assert "`feed5678`" in card
    assert "go: the teacher does better" in card
    assert "`rollout.max_new_tokens`: `8` (preset: `{from: 8.0, over: 50, to: 20.0}`)" in card
    assert "0.0 % (0.0 % to 0.0 %, n = 96) | 75.0 % (37.5 % to 75.0 %, n = 96)" in card
    assert "model: tiny-llama" in card
    assert re.search(r"- torch \d", card)
    assert exported.sha256 == folder_sha256(exported.path)


def test_an_earlier_checkpoint_is_told_with_what_was_measured_there(
    database: Database, settings: Settings, done: Run, outside: Path
) -> None:
    """Along the run only a subset is measured; before is then of the same subset."""
    exported = export_adapter(database, settings, done.id, outside / "adapter", 3)
    card = (exported.path / "README.md").read_text("utf-8")
    assert "after 3 of 6 planned steps" in card
    assert "10.0 % (5.0 % to 10.0 %, n = 24) | 50.0 % (25.0 % to 50.0 %, n = 24)" in card


def test_no_exported_file_names_the_lab_or_the_models_folder(
    database: Database, settings: Settings, done: Run, trained: TinyCheckpoint, outside: Path
) -> None:
    exported = export_adapter(database, settings, done.id, outside / "adapter")
    for path in exported.path.iterdir():
        for place in (settings.home, trained.base, trained.base.parent, Path.home()):
            assert str(place).encode() not in path.read_bytes(), path.name


def test_only_what_lies_in_the_lab_becomes_its_artifact(
    database: Database, settings: Settings, done: Run, outside: Path
) -> None:
    export_adapter(database, settings, done.id, outside / "adapter.zip")
    assert Artifacts(database).of_run(done.id) == []
    inside = export_adapter(database, settings, done.id, settings.home / "exports" / "a.zip")
    (artifact,) = Artifacts(database).of_run(done.id)
    assert (artifact.kind, artifact.path) == ("adapter", "exports/a.zip")
    assert (artifact.sha256, artifact.bytes) == (inside.sha256, inside.bytes)
    assert artifact.sha256 == file_sha256(settings.home / artifact.path)


def test_a_finished_run_has_its_adapter_ready_and_only_once(
    database: Database, settings: Settings, done: Run, trained: TinyCheckpoint
) -> None:
    first = finished_adapter(database, settings, done.id)
    again = finished_adapter(database, settings, done.id)
    assert first is not None
    assert first == again
    assert first.path == settings.home / "runs" / done.id / "adapter.zip"
    assert len(Artifacts(database).of_run(done.id)) == 1
    with zipfile.ZipFile(first.path) as archive:
        weights = archive.read("adapter_model.safetensors")
    assert weights == (trained.saved.folder / "adapter_model.safetensors").read_bytes()
    assert not [path.name for path in first.path.parent.iterdir() if "partial" in path.name]


def test_after_more_training_the_newer_adapter_takes_the_place(
    database: Database,
    settings: Settings,
    add_training_run: Callable[..., Run],
    add_checkpoint: Callable[..., SavedCheckpoint],
    trained: TinyCheckpoint,
    tiny_folder: Path,
    outside: Path,
) -> None:
    run = add_training_run()
    add_checkpoint(run, trained, 3)
    stopped = finished_adapter(database, settings, run.id)
    (known,) = Artifacts(database).of_run(run.id)
    add_checkpoint(run, make_checkpoint(tiny_folder, outside, seed=2), 6)
    ended = finished_adapter(database, settings, run.id)
    assert stopped is not None
    assert ended is not None
    assert ended.sha256 != stopped.sha256
    (artifact,) = Artifacts(database).of_run(run.id)
    assert artifact.id == known.id
    assert artifact.sha256 == ended.sha256 == file_sha256(ended.path)


def test_a_run_without_checkpoint_has_no_adapter(
    database: Database, settings: Settings, add_training_run: Callable[..., Run], outside: Path
) -> None:
    run = add_training_run()
    assert finished_adapter(database, settings, run.id) is None
    with pytest.raises(StateError, match="the run has no checkpoint yet"):
        export_adapter(database, settings, run.id, outside / "adapter")


def test_what_cannot_be_exported_is_told_in_words(
    database: Database,
    settings: Settings,
    done: Run,
    add_training_run: Callable[..., Run],
    outside: Path,
) -> None:
    target = outside / "adapter"
    with pytest.raises(NotFound, match="run none: there is no such run; list them with: sdlab"):
        export_adapter(database, settings, "none", target)
    with pytest.raises(StateError, match="no checkpoint of step 4, only of 3, 6"):
        export_adapter(database, settings, done.id, target, 4)
    premise = add_training_run(kind="premise")
    with pytest.raises(StateError, match="a job of kind premise, which makes no adapter"):
        export_adapter(database, settings, premise.id, target)
    assert not target.exists()


def test_a_base_model_that_is_gone_is_told_with_what_brings_it_back(
    database: Database,
    settings: Settings,
    add_training_run: Callable[..., Run],
    add_checkpoint: Callable[..., SavedCheckpoint],
    trained: TinyCheckpoint,
    outside: Path,
) -> None:
    run = add_training_run(model="bundled:smollm2-135m-instruct")
    add_checkpoint(run, trained, 6)
    with pytest.raises(ModelError, match=f"needs its tokenizer; fetch it again .* {run.id}"):
        export_adapter(database, settings, run.id, outside / "adapter")


@pytest.mark.parametrize("form", ["peft", "merged", "gguf"])
def test_there_are_three_forms_of_export(form: str) -> None:
    check_format(form)
    with pytest.raises(UserError, match='no export as "onnx"; use one of peft, merged, gguf'):
        check_format("onnx")
