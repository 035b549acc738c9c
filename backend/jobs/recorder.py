"""The Recorder over storage: a write is one transaction, and counts only while the run is ours."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from sqlalchemy import delete
from sqlalchemy.orm import Session

from backend.config import Settings, TracesConfig
from backend.errors import Replaced
from backend.jobs.closing import PHASE, FirstEvaluation, first_evaluation
from backend.jobs.verdicts import failure_details, keep_verdicts
from backend.training.recorder import Evaluation, Item, TokenTrace, Trace
from storage import models
from storage.artifacts import put_artifact, put_checkpoint
from storage.claims import Claim, hold
from storage.database import Database
from storage.evaluations import Evaluations, forget_evaluations_after, put_evaluation
from storage.metrics import Point, forget_metrics_after, put_metrics
from storage.runs import Runs
from storage.traces import forget_traces_after, pack, put_trace, stored_bytes, trace_id

BATCH: Final = 200
BATCH_S: Final = 2.0
POLL_S: Final = 1.0
TRACES_FULL: Final = "traces_full"
TRAINING: Final = "training"


class StoredRecorder:
    """backend.training.recorder.Recorder for one attempt at one run.

    Metrics and progress wait for a batch; every other write takes them along, so that they are
    stored in the order in which they were told.
    """

    def __init__(
        self,
        database: Database,
        run_id: str,
        owner: str,
        attempt: int,
        settings: Settings,
        config: Mapping[str, Any],
        *,
        stop: threading.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._claim = Claim(run_id, owner, attempt)
        self._home = settings.home
        traces = config.get("traces") or {}
        self._cap_mib = float(traces.get("max_mib", TracesConfig().max_mib))
        self._stop = stop or threading.Event()
        self._clock = clock
        self._points: list[Point] = []
        self._progress: dict[str, Any] = {}
        self._phase = ""
        self._flushed_at = clock()
        self._polled_at = -POLL_S
        self._positions: Counter[tuple[int, str]] = Counter()
        # What an earlier attempt measured; FirstEvaluation adds what this one does.
        self._closing_s = first_evaluation(database, run_id)
        self._first = FirstEvaluation()
        self._told_full = any(event.kind == TRACES_FULL for event in Runs(database).events(run_id))

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        self._points += [(key, step, float(value)) for key, value in values.items()]
        if len(self._points) >= BATCH:
            self.flush()
        self._flush_if_due()

    def progress(self, step: int, total: int, eta_s: float | None, phase: str) -> None:
        new_phase, self._phase = phase != self._phase, phase
        if eta_s is not None and phase == TRAINING:
            eta_s += max(self._closing_s, self._first.took_s)
        self._progress = {"step": step, "total_steps": total, "eta_s": eta_s, "phase": phase}
        if new_phase:
            # In the history too: who looks now and then would miss a phase that is short.
            self.event(PHASE, phase, step=step)
        self._flush_if_due()

    def event(self, kind: str, message: str, level: str = "info", **data: Any) -> None:
        self._first.event(self._clock(), kind, message, data.get("step"))
        with self._writing() as session:
            session.add(self._event(kind, message, level, data))

    def trace(self, trace: Trace) -> None:
        place = (trace.step, trace.kind)
        position = self._positions[place]
        self._positions[place] += 1
        row = _trace_row(self._claim.run_id, trace, position)
        with self._writing() as session:
            known = session.get(models.Trace, row.id)
            others = stored_bytes(session, row.run_id) - (known.bytes if known else 0)
            if others + row.bytes <= self._cap_mib * 2**20:
                put_trace(session, row)
            elif not self._told_full:
                self._told_full = True
                message = (
                    f"traces of this run reached {self._cap_mib:g} MiB; later ones are left out; "
                    "raise traces.max_mib or trace less often"
                )
                session.add(self._event(TRACES_FULL, message, "warning", {"step": trace.step}))

    def evaluation(self, step: int, evaluation: Evaluation, *, subset: bool = False) -> None:
        kept = keep_verdicts(self._home, self._claim.run_id, step, evaluation, subset=subset)
        row = models.Evaluation(
            run_id=self._claim.run_id,
            step=step,
            subset=subset,
            probe=evaluation.probe,
            metric=evaluation.metric,
            score=float(evaluation.score),
            n=evaluation.n,
            low=float(evaluation.low),
            high=float(evaluation.high),
            fingerprint=evaluation.fingerprint,
            details=failure_details(evaluation, kept),
        )
        items = [
            models.EvaluationItem(
                item_id=item.item_id,
                prompt=item.prompt,
                expected=item.expected,
                answer=item.answer,
                score=float(item.score),
                reason=item.reason,
            )
            for item in evaluation.items
        ]
        with self._writing() as session:
            put_evaluation(session, row, items)
            if kept is not None:
                put_artifact(session, kept)
        self._first.scored(self._clock(), step)

    def known_evaluation(self, fingerprint: str) -> Evaluation | None:
        known = Evaluations(self._database).known(fingerprint)
        if known is None:
            return None
        row, items = known
        # The base's scores cost nothing now; the trained model's will take what they took once.
        self._closing_s = max(self._closing_s, first_evaluation(self._database, row.run_id))
        return Evaluation(
            probe=row.probe,
            metric=row.metric,
            score=row.score,
            n=row.n,
            low=row.low,
            high=row.high,
            items=tuple(
                Item(item.item_id, item.prompt, item.expected, item.answer, item.score, item.reason)
                for item in items
            ),
            fingerprint=row.fingerprint,
            details=row.details,
        )

    def checkpoint(self, step: int, folder: Path, sha256: str, size_bytes: int) -> None:
        path = folder.resolve().relative_to(self._home.resolve()).as_posix()
        with self._writing() as session:
            put_checkpoint(session, self._claim.run_id, step, path, sha256, size_bytes)

    def result(self, values: Mapping[str, Any]) -> None:
        with self._writing() as session:
            run = session.get_one(models.Run, self._claim.run_id)
            run.result = {**(run.result or {}), **values}

    def rewind(self, step: int) -> None:
        self._positions.clear()
        with self._writing(step=step) as session:
            run_id = self._claim.run_id
            forget_metrics_after(session, run_id, step)
            forget_traces_after(session, run_id, step)
            forget_evaluations_after(session, run_id, step)
            # The checkpoints after it are what the resume could not use.
            session.execute(
                delete(models.Checkpoint).where(
                    models.Checkpoint.run_id == run_id, models.Checkpoint.step > step
                )
            )

    def stop_requested(self) -> bool:
        if not self._stop.is_set() and self._clock() - self._polled_at >= POLL_S:
            self._polled_at = self._clock()
            run = Runs(self._database).get(self._claim.run_id)
            if run is None or (run.owner, run.attempt) != (self._claim.owner, self._claim.attempt):
                raise self._replaced()
            if run.stop_requested:
                self._stop.set()
        return self._stop.is_set()

    def flush(self) -> None:
        if self._points or self._progress:
            with self._writing():
                pass

    def _flush_if_due(self) -> None:
        if self._clock() - self._flushed_at >= BATCH_S:
            self.flush()

    @contextmanager
    def _writing(self, **values: Any) -> Iterator[Session]:
        """A transaction that holds the run and has stored what waited. Raises Replaced."""
        with self._database.write() as session:
            if not hold(session, self._claim, **{**self._progress, **values}):
                raise self._replaced()
            put_metrics(session, self._claim.run_id, self._points)
            yield session
        # Only a commit makes them stored.
        self._points, self._progress = [], {}
        self._flushed_at = self._clock()

    def _replaced(self) -> Replaced:
        return Replaced(
            f"attempt {self._claim.attempt} no longer holds run {self._claim.run_id}",
            remedy="nothing to do: another attempt goes on, or the run has ended",
        )

    def _event(self, kind: str, message: str, level: str, data: dict[str, Any]) -> models.Event:
        return models.Event(
            run_id=self._claim.run_id,
            attempt=self._claim.attempt,
            kind=kind,
            message=message,
            level=level,
            data=data or None,
        )


def _trace_row(run_id: str, trace: Trace, position: int) -> models.Trace:
    tokens = trace.tokens
    blob = pack({part.name: getattr(tokens, part.name) for part in fields(TokenTrace)})
    texts = {
        "student_prompt": trace.student_prompt,
        "teacher_prompt": trace.teacher_prompt,
        "completion": trace.completion,
        "demonstration": trace.demonstration,
        "teacher_answer": trace.teacher_answer,
        "base_answer": trace.base_answer,
    }
    count = int(tokens.token_ids_T.size)
    return models.Trace(
        id=trace_id(run_id, trace.step, trace.kind, position),
        run_id=run_id,
        step=trace.step,
        kind=trace.kind,
        position=position,
        demonstration_id=trace.demonstration_id,
        source=trace.source,
        tokens=count,
        mean_divergence=float(np.mean(tokens.divergence_T)) if count else None,
        bytes=len(blob) + sum(len(text.encode()) for text in texts.values() if text),
        blob=blob,
        **texts,
    )
