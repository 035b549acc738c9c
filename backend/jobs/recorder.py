"""The Recorder over storage: a write is one transaction, and counts only while the run is ours."""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import delete
from sqlalchemy.orm import Session

from backend.config import TracesConfig
from backend.errors import Replaced
from backend.evaluation.probe_names import task_probe
from backend.jobs.checkpoint_keeping import superfluous
from backend.jobs.closing import PHASE, first_scores
from backend.jobs.mirrors import NOWHERE, Mirrors
from backend.jobs.patience import patiently
from backend.jobs.trace_rows import trace_row
from backend.jobs.verdicts import failure_details, keep_verdicts
from backend.settings import Settings
from backend.training.recorder import Evaluation, Item, Trace
from storage import models
from storage.artifacts import let_checkpoints_go, put_artifact, put_checkpoint
from storage.claims import Claim, hold
from storage.database import Database
from storage.evaluations import Evaluations, forget_evaluations_after, put_evaluation
from storage.metrics import Point, forget_metrics_after, put_metrics
from storage.runs import Runs
from storage.traces import forget_traces_after, put_trace, stored_bytes

BATCH: Final = 200
BATCH_S: Final = 2.0
POLL_S: Final = 1.0
TRACES_FULL: Final = "traces_full"
TRAINING: Final = "training"
Result = TypeVar("Result")


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
        mirrors: Mirrors = NOWHERE,
        stop: threading.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._claim = Claim(run_id, owner, attempt)
        self._home = settings.home
        self._mirrors = mirrors
        traces = config.get("traces") or {}
        self._cap_mib = float(traces.get("max_mib", TracesConfig().max_mib))
        self._keep = int(config.get("keep_checkpoints") or 0)
        self._own_probe = task_probe(str(config.get("task") or ""))
        self._stop = stop or threading.Event()
        self._clock = clock
        self._points: list[Point] = []
        self._progress: dict[str, Any] = {}
        self._phase = ""
        self._flushed_at = clock()
        self._polled_at = -POLL_S
        self._positions: Counter[tuple[int, str]] = Counter()
        self._first = first_scores(database, run_id)
        self._told_full = any(event.kind == TRACES_FULL for event in Runs(database).events(run_id))

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        self._points += [(key, step, float(value)) for key, value in values.items()]
        self._mirrors.metrics(step, values)
        if len(self._points) >= BATCH:
            self.flush()
        self._flush_if_due()

    def progress(self, step: int, total: int, eta_s: float | None, phase: str) -> None:
        new_phase, self._phase = phase != self._phase, phase
        if eta_s is not None and phase == TRAINING:
            eta_s += self._first.took_s
        self._progress = {"step": step, "total_steps": total, "eta_s": eta_s, "phase": phase}
        if new_phase:
            # In the history too: who looks now and then would miss a phase that is short.
            self.event(PHASE, phase, step=step)
        self._flush_if_due()

    def event(self, kind: str, message: str, level: str = "info", **data: Any) -> None:
        self._first.event(self._clock(), kind, message, data.get("step"))
        self._write(lambda session: session.add(self._event(kind, message, level, data)))

    def trace(self, trace: Trace) -> None:
        place = (trace.step, trace.kind)
        position = self._positions[place]
        self._positions[place] += 1
        row = trace_row(self._claim.run_id, trace, position)

        def put(session: Session) -> bool:
            known = session.get(models.Trace, row.id)
            others = stored_bytes(session, row.run_id) - (known.bytes if known else 0)
            fits = others + row.bytes <= self._cap_mib * 2**20
            if fits:
                put_trace(session, row)
            return fits

        if not self._write(put) and not self._told_full:
            self._told_full = True
            message = (
                f"traces of this run reached {self._cap_mib:g} MiB; later ones are left out; "
                "raise traces.max_mib or trace less often"
            )
            self.event(TRACES_FULL, message, "warning", step=trace.step)

    def evaluation(self, step: int, evaluation: Evaluation, *, subset: bool = False) -> None:
        kept = keep_verdicts(self._home, self._claim.run_id, step, evaluation, subset=subset)
        details = failure_details(evaluation, kept)
        if step == 0 and not subset:
            details = self._first.scored(self._clock(), details)
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
            details=details,
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

        def put(session: Session) -> None:
            put_evaluation(session, row, items)
            if kept is not None:
                put_artifact(session, kept)

        self._write(put)
        self._mirrors.evaluation(step, evaluation, subset=subset)

    def known_evaluation(self, fingerprint: str) -> Evaluation | None:
        known = Evaluations(self._database).known(fingerprint)
        if known is None:
            return None
        row, items = known
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
        run_id = self._claim.run_id
        self._write(lambda session: put_checkpoint(session, run_id, step, path, sha256, size_bytes))
        own = self._own_probe
        gone = patiently(lambda: superfluous(self._database, run_id, self._keep, own))
        if gone:
            steps = [point.step for point in gone]
            self._write(lambda session: let_checkpoints_go(session, run_id, steps))
        for point in gone:
            shutil.rmtree(self._home / point.path, ignore_errors=True)

    def result(self, values: Mapping[str, Any]) -> None:
        def put(session: Session) -> None:
            run = session.get_one(models.Run, self._claim.run_id)
            run.result = {**(run.result or {}), **values}

        self._write(put)

    def rewind(self, step: int) -> None:
        self._positions.clear()
        run_id = self._claim.run_id

        def forget(session: Session) -> None:
            forget_metrics_after(session, run_id, step)
            forget_traces_after(session, run_id, step)
            forget_evaluations_after(session, run_id, step)
            # The checkpoints after it are what the resume could not use.
            session.execute(
                delete(models.Checkpoint).where(
                    models.Checkpoint.run_id == run_id, models.Checkpoint.step > step
                )
            )

        self._write(forget, step=step)

    def stop_requested(self) -> bool:
        if not self._stop.is_set() and self._clock() - self._polled_at >= POLL_S:
            self._polled_at = self._clock()
            run = patiently(lambda: Runs(self._database).get(self._claim.run_id))
            if run is None or (run.owner, run.attempt) != (self._claim.owner, self._claim.attempt):
                raise self._replaced()
            if run.stop_requested:
                self._stop.set()
        return self._stop.is_set()

    def flush(self) -> None:
        if self._points or self._progress:
            self._write(lambda _session: None)

    def _flush_if_due(self) -> None:
        if self._clock() - self._flushed_at >= BATCH_S:
            self.flush()

    def _write(self, put: Callable[[Session], Result], **values: Any) -> Result:
        """A transaction that holds the run and stores what waited. Raises Replaced.

        All of it is done again while the database is locked, without room or away.
        """

        def write() -> Result:
            with self._database.write() as session:
                if not hold(session, self._claim, **{**self._progress, **values}):
                    raise self._replaced()
                put_metrics(session, self._claim.run_id, self._points)
                return put(session)

        result = patiently(write)
        # Only a commit makes them stored.
        self._points, self._progress = [], {}
        self._flushed_at = self._clock()
        return result

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
