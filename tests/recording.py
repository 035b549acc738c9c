"""A Recorder in memory, for tests of what training and evaluation tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.training.recorder import Evaluation, Trace


@dataclass(frozen=True)
class Event:
    kind: str
    message: str
    level: str
    data: Mapping[str, Any]


@dataclass
class ListRecorder:
    """Keeps everything it is told; wants the job to end once ``stop_after`` steps are done."""

    stop_after: int | None = None
    values: dict[int, dict[str, float]] = field(default_factory=dict)
    steps: list[tuple[int, int]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    placed: dict[tuple[int, str, int], Trace] = field(default_factory=dict)
    places: Counter[tuple[int, str]] = field(default_factory=Counter)
    evaluations: list[tuple[int, Evaluation, bool]] = field(default_factory=list)
    known: dict[str, Evaluation] = field(default_factory=dict)
    checkpoints: dict[int, Path] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    rewinds: list[int] = field(default_factory=list)
    flushes: int = 0

    @property
    def traces(self) -> list[Trace]:
        """One told again after a rewind takes the place of the earlier one."""
        return list(self.placed.values())

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        self.values.setdefault(step, {}).update(values)

    def progress(self, step: int, total: int, eta_s: float | None, phase: str) -> None:
        self.steps.append((step, total))

    def event(self, kind: str, message: str, level: str = "info", **data: Any) -> None:
        self.events.append(Event(kind, message, level, data))

    def trace(self, trace: Trace) -> None:
        place = (trace.step, trace.kind)
        self.placed[*place, self.places[place]] = trace
        self.places[place] += 1

    def evaluation(self, step: int, evaluation: Evaluation, *, subset: bool = False) -> None:
        self.evaluations.append((step, evaluation, subset))
        if evaluation.fingerprint:
            self.known[evaluation.fingerprint] = evaluation

    def known_evaluation(self, fingerprint: str) -> Evaluation | None:
        return self.known.get(fingerprint)

    def checkpoint(self, step: int, folder: Path, sha256: str, size_bytes: int) -> None:
        self.checkpoints[step] = folder

    def result(self, values: Mapping[str, Any]) -> None:
        self.results.update(values)

    def rewind(self, step: int) -> None:
        self.rewinds.append(step)
        self.values = {at: values for at, values in self.values.items() if at <= step}
        self.placed = {place: trace for place, trace in self.placed.items() if place[0] <= step}
        self.places.clear()
        self.evaluations = [kept for kept in self.evaluations if kept[0] <= step]
        self.checkpoints = {at: folder for at, folder in self.checkpoints.items() if at <= step}

    def stop_requested(self) -> bool:
        done = max((step for step, _ in self.steps), default=0)
        return self.stop_after is not None and done >= self.stop_after

    def flush(self) -> None:
        self.flushes += 1
