"""The work of a training run: premise, evaluations, training, and the adapter at its end."""

from __future__ import annotations

from pathlib import Path

from backend.config import RunConfig
from backend.documents import validate
from backend.errors import StateError, StopRequested, UserError
from backend.evaluation.premise import check_premise
from backend.evaluation.suite import Suite
from backend.jobs.closing import EVALUATING
from backend.jobs.exports import finished_adapter
from backend.jobs.tasks import StoredTask, demonstrations, find_task
from backend.jobs.work.context import JobContext, checkpoint_folder
from backend.jobs.work.models import prepare_model
from backend.jobs.work.probes import probe_finder, task_probe
from backend.models.language_model import LanguageModel
from backend.models.workload import PREMISE_ROWS
from backend.training.checkpoints import verify_checkpoint
from backend.training.loop import make_trainer
from backend.training.loop import train as train_loop
from backend.training.row_checks import Rows
from storage.artifacts import Artifacts
from storage.runs import Runs


def train(job: JobContext) -> None:
    """Trains as the run's configuration says. Raises StopRequested if the user ends it."""
    config = validate(RunConfig, job.config, f"run {job.run_id}")
    stored = find_task(job.database, config.task)
    model = prepare_model(job, config.model, steps=config.steps)
    rows = Rows(
        demonstrations(job.database, stored.version.id, "training"),
        demonstrations(job.database, stored.version.id, "held_out"),
    )
    trainer = make_trainer(model, config, start_folder(job, config))
    measure = _Measure(job, config, model, stored, rows)
    try:
        train_loop(trainer, rows, job.recorder, job.folder / "checkpoints", measure)
    except StopRequested:
        # A run that was stopped hands over what it has learned so far.
        _leave_adapter(job)
        raise
    _leave_adapter(job)


def _leave_adapter(job: JobContext) -> None:
    """Leaves adapter.zip in the run's folder; training is not lost where that fails."""
    job.recorder.flush()
    try:
        finished_adapter(job.database, job.settings, job.run_id)
    except (UserError, OSError) as error:
        job.recorder.event("no_adapter", f"no adapter was packed: {error}", level="warning")


class _Measure:
    """What is measured before, along and after a run."""

    def __init__(
        self,
        job: JobContext,
        config: RunConfig,
        model: LanguageModel,
        stored: StoredTask,
        rows: Rows,
    ) -> None:
        self._job, self._config, self._model, self._rows = job, config, model, rows
        self._scorer = stored.version.scorer
        self._suite = Suite(
            config.evaluate.probes,
            task_probe(job.database, stored, config.evaluate.max_new_tokens, job.settings),
            probe_finder(job.database, config.evaluate.max_new_tokens, job.settings),
            job.recorder,
        )

    def __call__(self, done: int) -> None:
        ends = done in (0, self._config.steps)
        self._progress(done, EVALUATING)
        if done == 0 and self._config.evaluate.premise and self._config.teacher.weights != "none":
            self._premise()
        if ends:
            is_base = done == 0 and self._config.start_from is None
            self._suite.measure(self._model, done, self._config.evaluate, is_base=is_base)
        else:
            self._suite.look(self._model, done, self._config.evaluate)
        self._job.recorder.flush()

    def _premise(self) -> None:
        config = self._config
        found = check_premise(
            self._model,
            self._rows.held_out[:PREMISE_ROWS],
            self._scorer,
            config.teacher,
            [config.teacher.context],
            config.evaluate.max_new_tokens,
            self._job.settings,
            lambda _done, _reader: self._progress(0, EVALUATING),
        )
        self._job.recorder.result({"premise": found.as_document()})
        level = "info" if found.best.verdict == "go" else "warning"
        self._job.recorder.event("premise", found.best.sentence, level=level)

    def _progress(self, done: int, phase: str) -> None:
        if self._job.recorder.stop_requested() and done == 0:
            raise StopRequested("stopped before the first step")
        self._job.recorder.progress(done, self._config.steps, None, phase)


def start_folder(job: JobContext, config: RunConfig) -> Path | None:
    """The folder of the adapter to go on from."""
    if config.start_from is None:
        return None
    run = Runs(job.database).get(config.start_from)
    checkpoint = Artifacts(job.database).checkpoint(config.start_from) if run else None
    if checkpoint is None:
        raise StateError(
            f"run {config.start_from} has no checkpoint to start from",
            where="start_from",
            remedy="name a run that has trained at least to its first checkpoint",
        )
    folder = checkpoint_folder(job.settings, checkpoint)
    verify_checkpoint(folder)
    return folder
