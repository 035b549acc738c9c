"""The work of a replay: steps of a run computed again, and compared with what was stored."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from backend.config import RunConfig
from backend.documents import validate
from backend.errors import NotFound, StopRequested
from backend.jobs.estimates import lengths_of
from backend.jobs.replays import ReplayConfig
from backend.jobs.tasks import find_task
from backend.jobs.work.context import JobContext, checkpoint_folder, run_folder
from backend.jobs.work.memory import wait_for_memory
from backend.jobs.work.models import prepare_model
from backend.jobs.work.train import rows_of, trainer_of
from backend.training.loop import train as train_loop
from backend.training.recorder import Evaluation, Recorder, Trace
from backend.training.sampled_set import NAME
from storage.artifacts import Artifacts
from storage.metrics import Metrics
from storage.models import Run
from storage.runs import Runs

# Told of the machine, not of the model.
_OF_THE_MACHINE: Final = ("_s", "_mib", "_per_s")


def replay(job: JobContext) -> None:
    """Trains from the checkpoint before the step up to it, and keeps whether all was the same."""
    config = validate(ReplayConfig, job.config, f"replay {job.run_id}")
    run = Runs(job.database).get(config.run)
    if run is None or run.task_version_id is None:
        raise NotFound(f"run {config.run} is gone", where="run", remedy="see: sdlab runs")
    settings = _without_extras(validate(RunConfig, run.config, f"run {run.id}"))
    rows = rows_of(job, settings, run.task_version_id)
    stored = find_task(job.database, settings.task)
    wait_for_memory(job, settings, lengths_of(job.database, job.settings, settings, stored))
    scratch = job.folder / "checkpoints"
    listener = _Listener(job.recorder, config.step)
    four_bit = settings.adapter.four_bit
    model = prepare_model(job, settings.model, steps=config.step, four_bit=four_bit)
    try:
        _take_checkpoint(job, run, config.step, scratch)
        trainer = trainer_of(job, settings, model, stored.version.scorer)
        train_loop(trainer, rows, listener, scratch, evaluate=lambda _done: None)
    except _Reached:
        pass
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    difference = _first_difference(job, run.id, listener.values)
    job.recorder.result({"equal": difference is None, "first_difference": difference})
    job.recorder.progress(config.step, config.step, 0.0, "done")


def _without_extras(config: RunConfig) -> RunConfig:
    """The same training without what does not change its numbers: scores, traces, checkpoints."""
    changes = {
        "evaluate": config.evaluate.model_copy(update={"every": 0}),
        "traces": config.traces.model_copy(update={"every": 0}),
        "checkpoint_every": config.steps,
    }
    return config.model_copy(update=changes)


def _take_checkpoint(job: JobContext, run: Run, step: int, scratch: Path) -> None:
    """Copies what the loop resumes from: the last checkpoint before ``step``, sampled answers."""
    sampled = run_folder(job.settings, run.id) / "checkpoints" / NAME
    if sampled.is_file():
        scratch.mkdir(parents=True, exist_ok=True)
        shutil.copy(sampled, scratch / NAME)
    points = Artifacts(job.database).checkpoints(run.id)
    before = [point for point in points if point.step < step]
    if before:
        folder = checkpoint_folder(job.settings, before[-1])
        shutil.copytree(folder, scratch / folder.name)


def _first_difference(
    job: JobContext, run_id: str, computed: Mapping[int, Mapping[str, float]]
) -> dict[str, Any] | None:
    """The first step and metric whose stored value is another one than that computed now."""
    keys = sorted({key for values in computed.values() for key in values})
    stored = {
        key: dict(Metrics(job.database).series(run_id, key))
        for key in keys
        if not key.endswith(_OF_THE_MACHINE)
    }
    for step, values in sorted(computed.items()):
        for key in stored:
            if key in values and not _is_same(stored[key].get(step), values[key]):
                return {
                    "step": step,
                    "metric": key,
                    "stored": _as_json(stored[key].get(step)),
                    "computed": _as_json(values[key]),
                }
    return None


def _is_same(stored: float | None, computed: float) -> bool:
    if stored is None:
        return False
    return stored == computed or (math.isnan(stored) and math.isnan(computed))


def _as_json(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


class _Reached(StopRequested):
    """The step to be replayed is done."""


class _Listener(Recorder):
    """Keeps the metrics that the loop tells, and ends it after the last step; stores nothing."""

    def __init__(self, recorder: Recorder, last: int) -> None:
        self._recorder = recorder
        self._last = last
        self.values: dict[int, dict[str, float]] = {}

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        self.values.setdefault(step, {}).update({key: float(v) for key, v in values.items()})

    def progress(self, step: int, total: int, eta_s: float | None, phase: str) -> None:
        self._recorder.progress(step, self._last, None, phase)
        if step >= self._last:
            # Here, as the loop would save a checkpoint first when it is asked to stop.
            raise _Reached(f"step {step} is done")

    def stop_requested(self) -> bool:
        if self._recorder.stop_requested():
            raise StopRequested("stopped before the step was reached")
        return False

    def event(self, kind: str, message: str, level: str = "info", **data: Any) -> None:
        """Was told when the run was trained."""

    def trace(self, trace: Trace) -> None:
        """Was kept when the run was trained."""

    def evaluation(self, step: int, evaluation: Evaluation, *, subset: bool = False) -> None:
        """Nothing is evaluated."""

    def known_evaluation(self, fingerprint: str) -> Evaluation | None:
        return None

    def checkpoint(self, step: int, folder: Path, sha256: str, size_bytes: int) -> None:
        """The copy that the loop resumes from is no checkpoint of this job."""

    def result(self, values: Mapping[str, Any]) -> None:
        """The run has its own."""

    def rewind(self, step: int) -> None:
        """Nothing was stored."""

    def flush(self) -> None:
        self._recorder.flush()
