"""Checkpoints: whole or passed over, plain formats only, and everything back bit for bit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from backend.atomic import file_sha256
from backend.errors import StopRequested, UserError
from backend.models.lora import ADAPTER
from backend.training.checkpoints import (
    MANIFEST,
    RESERVE_BYTES,
    BrokenCheckpoint,
    checkpoint_bytes,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
    verify_checkpoint,
    wait_for_room,
)
from backend.training.optimizer import load_optimizer_tensors, optimizer_tensors
from backend.training.step import training_step
from backend.training.trainer import Trainer
from tests.recording import ListRecorder
from tests.tiny_model import load_tiny
from tests.training.tiny_runs import (
    adapter_of,
    assert_equal_tensors,
    demonstrations,
    disturb_adapter,
    tiny_config,
    tiny_trainer,
)

FILES = [
    "adapter_config.json",
    "adapter_model.safetensors",
    "manifest.json",
    "optimizer.safetensors",
    "state.json",
    "teacher.safetensors",
]


@pytest.fixture
def trainer(tiny_folder: Path) -> Trainer:
    """Two steps into a run with a schedule."""
    trainer = tiny_trainer(tiny_folder, tiny_config(optimizer__schedule="cosine"))
    for step in range(2):
        training_step(trainer, demonstrations(4), step)
    return trainer


def test_everything_comes_back_bit_for_bit(
    trainer: Trainer, tiny_folder: Path, tmp_path: Path
) -> None:
    saved = save_checkpoint(trainer, 2, tmp_path)
    other = tiny_trainer(tiny_folder, trainer.config)
    disturb_adapter(other.model)
    assert load_checkpoint(other, saved.folder) == 2
    assert_equal_tensors(adapter_of(other.model), adapter_of(trainer.model))
    assert_equal_tensors(other.teacher.average, trainer.teacher.average)
    assert_equal_tensors(
        optimizer_tensors(other.model, other.optimizer),
        optimizer_tensors(trainer.model, trainer.optimizer),
    )
    assert other.scheduler.get_last_lr() == trainer.scheduler.get_last_lr()
    assert other.optimizer.param_groups[0]["lr"] == trainer.optimizer.param_groups[0]["lr"]
    results = [training_step(each, demonstrations(4), 2) for each in (trainer, other)]
    assert results[0].loss == results[1].loss
    assert_equal_tensors(adapter_of(other.model), adapter_of(trainer.model))


def test_nothing_is_pickled(trainer: Trainer, tmp_path: Path) -> None:
    """Every file is JSON or safetensors, and every one but the manifest is in the manifest."""
    saved = save_checkpoint(trainer, 2, tmp_path)
    assert sorted(path.name for path in saved.folder.iterdir()) == FILES
    for path in saved.folder.iterdir():
        if path.suffix == ".json":
            assert isinstance(json.loads(path.read_text("utf-8")), dict)
        else:
            assert all(isinstance(t, torch.Tensor) for t in load_file(path).values())
    manifest = json.loads((saved.folder / MANIFEST).read_text("utf-8"))
    assert sorted([*manifest["files"], MANIFEST]) == FILES
    assert saved.sha256 == file_sha256(saved.folder / MANIFEST)
    assert saved.size_bytes == sum(path.stat().st_size for path in saved.folder.iterdir())


def test_a_run_without_a_teacher_stores_no_average(tiny_folder: Path, tmp_path: Path) -> None:
    trainer = tiny_trainer(tiny_folder, tiny_config("sft"))
    folder = save_checkpoint(trainer, 0, tmp_path).folder
    assert load_file(folder / "teacher.safetensors") == {}
    assert load_checkpoint(tiny_trainer(tiny_folder, trainer.config), folder) == 0


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def nonsense(path: Path) -> None:
    path.write_text("null")


DAMAGES: list[Callable[[Path], None]] = [cut, flip_a_bit, empty, nonsense, Path.unlink]


@pytest.fixture(scope="module")
def two_checkpoints(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    trainer = tiny_trainer(tiny_folder, tiny_config())
    folder = tmp_path_factory.mktemp("checkpoints")
    training_step(trainer, demonstrations(4), 0)
    for step in (2, 4):
        save_checkpoint(trainer, step, folder)
    return folder


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    name: str, damage: Callable[[Path], None], two_checkpoints: Path, tmp_path: Path
) -> None:
    shutil.copytree(two_checkpoints, tmp_path, dirs_exist_ok=True)
    older, newer = tmp_path / "step-00000002", tmp_path / "step-00000004"
    assert newest_checkpoint(tmp_path) == newer
    damage(newer / name)
    with pytest.raises(BrokenCheckpoint):
        verify_checkpoint(newer)
    assert newest_checkpoint(tmp_path) == older


def test_only_finished_folders_are_checkpoints(trainer: Trainer, tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path / "none") is None
    assert newest_checkpoint(tmp_path) is None
    folder = save_checkpoint(trainer, 2, tmp_path).folder
    for name in (".step-00000009.abcd.partial", "step-9", "step-00000009.old"):
        (tmp_path / name).mkdir()
    (tmp_path / "step-00000003").mkdir()
    assert newest_checkpoint(tmp_path) == folder


def test_nothing_is_left_of_a_checkpoint_that_failed(trainer: Trainer, tmp_path: Path) -> None:
    name = next(iter(trainer.teacher.average))
    trainer.teacher.average[name] = torch.empty(4, device="meta")
    with pytest.raises(NotImplementedError):
        save_checkpoint(trainer, 2, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_adapter_of_another_shape_is_refused(
    trainer: Trainer, tiny_folder: Path, tmp_path: Path
) -> None:
    folder = save_checkpoint(trainer, 2, tmp_path).folder
    other = tiny_config(adapter__rank=8)
    with pytest.raises(UserError, match="other layers or another rank"):
        tiny_trainer(tiny_folder, other, start_from=folder)


def test_an_adapter_of_another_strength_is_refused(
    trainer: Trainer, tiny_folder: Path, tmp_path: Path
) -> None:
    """Alpha scales what the same tensors do: the run would not start from the student it names."""
    folder = save_checkpoint(trainer, 2, tmp_path).folder
    with pytest.raises(UserError, match=r"alpha 32.*adapter\.alpha"):
        tiny_trainer(tiny_folder, tiny_config(adapter__alpha=16), start_from=folder)


def test_saving_asks_nobody_about_the_model(tiny_folder: Path, tmp_path: Path) -> None:
    """peft would look for a model of that name on the hub, and warn where it cannot."""
    trainer = tiny_trainer(tiny_folder, tiny_config())
    model = load_tiny(tiny_folder)
    model.name = "bundled:smollm2-135m-instruct"
    model.add_adapter(trainer.config.adapter, seed=0)
    named = Trainer(trainer.config, model, trainer.teacher, trainer.optimizer, trainer.scheduler)
    folder = save_checkpoint(named, 0, tmp_path).folder
    config = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    assert config["base_model_name_or_path"] == "bundled:smollm2-135m-instruct"
    assert config["inference_mode"] is True
    assert all("lora_" in key for key in load_file(folder / ADAPTER))


def test_optimizer_tensors_go_where_their_parameters_are(
    trainer: Trainer, tiny_folder: Path
) -> None:
    """Files are read on the CPU; a device without memory stands for the GPU."""
    stored = optimizer_tensors(trainer.model, trainer.optimizer)
    other = tiny_trainer(tiny_folder, trainer.config)
    other.model.network.to("meta")
    load_optimizer_tensors(other.model, other.optimizer, stored)
    for parameter in other.model.adapter_parameters().values():
        state = other.optimizer.state[parameter]
        assert state["exp_avg"].device == state["exp_avg_sq"].device == torch.device("meta")
        # AdamW reads its step count on the host.
        assert state["step"].device == torch.device("cpu")


def test_a_checkpoint_waits_for_room_on_the_disk(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = checkpoint_bytes(trainer)
    size = save_checkpoint(trainer, 2, tmp_path / "saved").size_bytes
    assert 0.5 * size < needed < 1.1 * size
    free = iter([0, needed, needed + RESERVE_BYTES])
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=next(free)))
    recorder, pauses = ListRecorder(), list[float]()
    wait_for_room(tmp_path / "new", needed, recorder, pauses.append)

    assert len(pauses) == 2
    assert [event.kind for event in recorder.events] == ["low_disk", "room_again"]
    assert "paused: 0 MiB are free" in recorder.events[0].message
    assert "free some space" in recorder.events[0].message


def test_who_does_not_want_to_wait_for_room_may_stop(trainer: Trainer, tmp_path: Path) -> None:
    with pytest.raises(StopRequested, match="while the disk was full"):
        wait_for_room(tmp_path, 2**60, ListRecorder(stop_after=0))
    wait_for_room(tmp_path, 0, ListRecorder(stop_after=0))
