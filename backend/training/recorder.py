"""What training and evaluation tell the outside: a protocol, and the values that go through it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class TokenTrace:
    """Per completion token of one rollout; T tokens, 5 alternatives a side.

    Log-probabilities and entropies are in nats at temperature 1; the divergence is the run's own,
    before token weights. Teacher fields are None where the method has no teacher.
    """

    token_ids_T: npt.NDArray[np.int32]
    weights_T: npt.NDArray[np.float32]
    divergence_T: npt.NDArray[np.float32]
    student_logprobs_T: npt.NDArray[np.float32]
    student_entropy_T: npt.NDArray[np.float32]
    student_top_ids_T5: npt.NDArray[np.int32]
    student_top_logprobs_T5: npt.NDArray[np.float32]
    teacher_logprobs_T: npt.NDArray[np.float32] | None = None
    teacher_entropy_T: npt.NDArray[np.float32] | None = None
    teacher_top_ids_T5: npt.NDArray[np.int32] | None = None
    teacher_top_logprobs_T5: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Trace:
    """One rollout as both roles read it."""

    step: int
    kind: Literal["watched", "sampled"]
    demonstration_id: str
    source: str
    student_prompt: str
    teacher_prompt: str | None
    completion: str
    demonstration: str
    tokens: TokenTrace
    teacher_answer: str | None = None
    base_answer: str | None = None


@dataclass(frozen=True)
class Item:
    """One scored item of a probe; ``score`` is in 0..1 unless the probe says otherwise.

    ``record`` is what a judge or a program said of it. An item that ``failed`` has no score: what
    stands there counts for nothing, and ``reason`` says why.
    """

    item_id: str
    prompt: str
    expected: str
    answer: str
    score: float
    reason: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)
    failed: bool = False


@dataclass(frozen=True)
class Evaluation:
    """A probe's score with its 95 % interval, the items behind it, and those without a score."""

    probe: str
    metric: str
    score: float
    n: int
    low: float
    high: float
    items: tuple[Item, ...] = ()
    fingerprint: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    failed: tuple[Item, ...] = ()


class Recorder(Protocol):
    """Where a job's output goes. Every call raises Replaced once another owner has the run."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Values of optimizer step ``step`` (from 1); may be written later, in batches."""

    def progress(self, step: int, total: int, eta_s: float | None, phase: str) -> None:
        """How far the job is, in words (``phase``) and steps."""

    def event(self, kind: str, message: str, level: str = "info", **data: Any) -> None:
        """Something worth a line in the run's history."""

    def trace(self, trace: Trace) -> None:
        """Keeps one rollout, unless the run's byte cap is reached (an event says so, once)."""

    def evaluation(self, step: int, evaluation: Evaluation, *, subset: bool = False) -> None:
        """Keeps a probe's score; the same probe, metric and step replaces the earlier one."""

    def known_evaluation(self, fingerprint: str) -> Evaluation | None:
        """An evaluation of the same model on the same items, made by any run."""

    def checkpoint(self, step: int, folder: Path, sha256: str, size_bytes: int) -> None:
        """A finished checkpoint is on disk. All told before is stored when this returns."""

    def result(self, values: Mapping[str, Any]) -> None:
        """What the job found (premise, final paths): merged into the run's result document."""

    def rewind(self, step: int) -> None:
        """Forgets metrics, traces and evaluations after ``step``: a resume repeats them."""

    def stop_requested(self) -> bool:
        """Whether the user wants the job to end at the next step."""

    def flush(self) -> None:
        """Everything told so far is stored when this returns."""
