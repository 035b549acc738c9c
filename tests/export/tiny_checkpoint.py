"""A checkpoint of a tiny student whose adapter changes its logits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from backend.training.checkpoints import SavedCheckpoint, save_checkpoint
from tests.training.tiny_runs import disturb_adapter, logits_of, tiny_config, tiny_trainer

TEXT = "the light is on you"


@dataclass(frozen=True)
class TinyCheckpoint:
    """What was saved, on which base, and the student's logits for TEXT."""

    saved: SavedCheckpoint
    base: Path
    logits_LV: torch.Tensor
    base_logits_LV: torch.Tensor


def make_checkpoint(base: Path, root: Path, step: int = 6, seed: int = 1) -> TinyCheckpoint:
    """Writes ``root/step-...`` as training does."""
    trainer = tiny_trainer(base, tiny_config(model=str(base)))
    disturb_adapter(trainer.model, seed)
    with trainer.model.base_weights():
        base_logits = logits_of(trainer.model, TEXT)
    saved = save_checkpoint(trainer, step, root)
    return TinyCheckpoint(saved, base, logits_of(trainer.model, TEXT), base_logits)
