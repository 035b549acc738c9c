"""Checkpoints: a folder of safetensors and JSON, written whole or not at all, verified."""

from __future__ import annotations

import json
import logging
import math
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from safetensors.torch import load_file, save_file

from backend.atomic import file_sha256, new_folder, write_text
from backend.errors import StopRequested, UserError
from backend.models.language_model import LanguageModel
from backend.training.optimizer import (
    load_optimizer_tensors,
    optimizer_tensors,
    scheduler_numbers,
)
from backend.training.recorder import Recorder
from backend.training.trainer import Trainer

log = logging.getLogger(__name__)

MANIFEST: Final = "manifest.json"
# Left free beside a checkpoint: the database and the log grow meanwhile.
RESERVE_BYTES: Final = 32 << 20
LOOK_S: Final = 2.0
_NAME = re.compile(r"step-(\d{8})")


class BrokenCheckpoint(UserError):
    """A checkpoint's files are not those that were written."""

    code = "broken_checkpoint"


@dataclass(frozen=True)
class SavedCheckpoint:
    """Where a checkpoint lies, the hash of its manifest, and its size."""

    step: int
    folder: Path
    sha256: str
    size_bytes: int


def save_checkpoint(trainer: Trainer, step: int, root: Path) -> SavedCheckpoint:
    """Writes the state after ``step`` optimizer steps: student, average, optimizer, schedule."""
    folder = root / f"step-{step:08d}"
    # What may stand there is a torn one of an earlier attempt.
    with new_folder(folder, replace=True) as scratch:
        save_adapter(trainer.model, scratch)
        tensors = {
            "teacher.safetensors": trainer.teacher.average,
            "optimizer.safetensors": optimizer_tensors(trainer.model, trainer.optimizer),
        }
        for name, content in tensors.items():
            save_file({key: t.contiguous().cpu() for key, t in content.items()}, scratch / name)
        state = {
            "step": step,
            "scheduler": scheduler_numbers(trainer.scheduler),
            "alarms": trainer.alarms.state(),
        }
        (scratch / "state.json").write_text(json.dumps(state), "utf-8")
        manifest = {path.name: file_sha256(path) for path in sorted(scratch.iterdir())}
        write_text(scratch / MANIFEST, json.dumps({"step": step, "files": manifest}, indent=1))
    return saved_checkpoint(folder)


def checkpoint_bytes(trainer: Trainer) -> int:
    """About how much a checkpoint of this trainer takes on disk."""
    student = trainer.model.adapter_parameters()
    kept = optimizer_tensors(trainer.model, trainer.optimizer)
    tensors = [*student.values(), *trainer.teacher.average.values(), *kept.values()]
    # Before the first step the optimizer has no moments yet, and will have two.
    moments = 0 if kept else 2 * sum(tensor.nbytes for tensor in student.values())
    return moments + sum(tensor.nbytes for tensor in tensors)


def wait_for_room(
    root: Path, needed_bytes: int, recorder: Recorder, sleep: Callable[[float], object] = time.sleep
) -> None:
    """Returns once there is room for a checkpoint, and says that the run waits until then.

    Raises StopRequested where the user does not want to wait, either.
    """
    root.mkdir(parents=True, exist_ok=True)
    wanted, is_told = needed_bytes + RESERVE_BYTES, False
    while (free := shutil.disk_usage(root).free) < wanted:
        if not is_told:
            message = (
                f"paused: {free >> 20} MiB are free under {root} and the next checkpoint needs "
                f"{math.ceil(wanted / 2**20)} MiB; free some space, and the run goes on"
            )
            recorder.event("low_disk", message, level="warning")
            is_told = True
        if recorder.stop_requested():
            raise StopRequested("stopped while the disk was full, without a new checkpoint")
        sleep(LOOK_S)
    if is_told:
        recorder.event("room_again", "there is room on the disk again; the run goes on")


def saved_checkpoint(folder: Path) -> SavedCheckpoint:
    """What is to be told of a checkpoint that is on disk."""
    size = sum(path.stat().st_size for path in folder.iterdir())
    step = int(folder.name.removeprefix("step-"))
    return SavedCheckpoint(step, folder, file_sha256(folder / MANIFEST), size)


def load_checkpoint(trainer: Trainer, folder: Path) -> int:
    """Puts the trainer into the stored state and returns its step. Raises BrokenCheckpoint."""
    state = verify_checkpoint(folder)
    load_adapter(trainer.model, folder)
    trainer.teacher.load(load_file(folder / "teacher.safetensors"))
    load_optimizer_tensors(
        trainer.model, trainer.optimizer, load_file(folder / "optimizer.safetensors")
    )
    trainer.scheduler.load_state_dict(trainer.scheduler.state_dict() | state["scheduler"])
    for group, rate in zip(
        trainer.optimizer.param_groups, state["scheduler"]["_last_lr"], strict=True
    ):
        group["lr"] = rate
    if "alarms" in state:
        trainer.alarms.load(state["alarms"])
    return int(state["step"])


def verify_checkpoint(folder: Path) -> dict[str, Any]:
    """The checkpoint's state.json, once every file has the hash that its manifest names."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        for name, digest in manifest["files"].items():
            if file_sha256(folder / name) != digest:
                raise BrokenCheckpoint(
                    f"{name} has changed since it was written", where=str(folder)
                )
        state = json.loads((folder / "state.json").read_text("utf-8"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BrokenCheckpoint(f"it cannot be read ({error})", where=str(folder)) from error
    if not isinstance(state, dict):
        raise BrokenCheckpoint("its state.json is no object", where=str(folder))
    return state


def newest_checkpoint(root: Path) -> Path | None:
    """The newest checkpoint under ``root`` that is whole; torn ones are passed over, and logged."""
    if not root.is_dir():
        return None
    found = sorted((path for path in root.iterdir() if _NAME.fullmatch(path.name)), reverse=True)
    return next((folder for folder in found if is_whole(folder)), None)


def is_whole(folder: Path) -> bool:
    """Whether a checkpoint stands there with all its files; a broken one is logged."""
    if not folder.is_dir():
        return False
    try:
        verify_checkpoint(folder)
    except BrokenCheckpoint as error:
        log.warning("passing over a broken checkpoint: %s", error)
        return False
    return True


def save_adapter(model: LanguageModel, folder: Path) -> None:
    """Writes what the student has learned: a PEFT adapter, or all weights."""
    model.trained.save(folder)


def load_adapter(model: LanguageModel, folder: Path) -> None:
    """Puts what a checkpoint holds in the student's place. Raises UserError if it does not fit."""
    model.trained.load(folder)
