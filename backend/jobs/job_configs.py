"""What jobs other than training are told: premise checks, evaluations and exports."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from backend.config import DEFAULT_MODEL, Frozen


class PremiseConfig(Frozen):
    """A premise check; ``context`` auto tries every form that needs no text of its own."""

    task: str = Field(min_length=1)
    model: str = DEFAULT_MODEL
    context: str = "auto"
    limit: int = Field(32, ge=0, description="rows; 0: all")
    rows: Literal["held_out", "all"] = "held_out"
    max_new_tokens: int = Field(48, ge=1)


class EvaluationConfig(Frozen):
    """An evaluation of a base model, or of a run's checkpoint (the newest without a number)."""

    model: str = DEFAULT_MODEL
    run: str | None = None
    checkpoint: int | None = Field(None, ge=0)
    task: str | None = Field(None, description="what the probe named task stands for")
    probes: tuple[str, ...] = ("prior",)
    limit: int = Field(0, ge=0)
    max_new_tokens: int = Field(48, ge=1)


class ExportConfig(Frozen):
    """A run's checkpoint (the newest without a number) as a model of its own."""

    run: str = Field(min_length=1)
    format: Literal["merged", "gguf"] = "merged"
    checkpoint: int | None = Field(None, ge=0)
