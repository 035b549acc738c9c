"""What a job gets to work with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.settings import Settings
from backend.training.recorder import Recorder
from storage.database import Database
from storage.models import Checkpoint


@dataclass(frozen=True)
class JobContext:
    """One attempt at one run; ``folder`` exists and belongs to the run alone."""

    run_id: str
    kind: str
    config: Mapping[str, Any]
    database: Database
    settings: Settings
    recorder: Recorder
    folder: Path


Work = Callable[[JobContext], None]


def run_folder(settings: Settings, run_id: str) -> Path:
    """Where a run keeps its log and checkpoints."""
    return settings.home / "runs" / run_id


def checkpoint_folder(settings: Settings, checkpoint: Checkpoint) -> Path:
    """Where a registered checkpoint lies."""
    return settings.home / checkpoint.path
