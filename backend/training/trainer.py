"""What a training step works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from backend.config import RunConfig
from backend.data.demonstration import Demonstration
from backend.models.language_model import LanguageModel
from backend.training.alarms import Alarms
from backend.training.divergence import Temperatures
from backend.training.lessons import Judge
from backend.training.ranks import ALONE, Ranks
from backend.training.teacher import Teacher


@dataclass(frozen=True)
class Trainer:
    """What a step works on.

    ``judge`` scores rollouts, for forms that show a group's; ``others`` are rows that a form may
    show besides the own demonstration; ``sampled`` are answers that were written before training.
    """

    config: RunConfig
    model: LanguageModel
    teacher: Teacher
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    judge: Judge | None = None
    others: tuple[Demonstration, ...] = ()
    sampled: Mapping[str, list[int]] = field(default_factory=dict)
    alarms: Alarms = field(default_factory=Alarms)
    ranks: Ranks = ALONE

    @property
    def temperatures(self) -> Temperatures:
        """Both sides' logits are divided by the sampling temperature, except for nll."""
        if self.config.divergence.kind == "nll":
            return Temperatures()
        sampling = self.config.rollout.temperature
        return Temperatures(sampling, sampling * self.config.teacher.temperature)
