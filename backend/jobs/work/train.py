"""The work of a training run: premise, evaluations, training, and the adapter at its end."""

from __future__ import annotations

from pathlib import Path

from backend.config import RunConfig, TracesConfig
from backend.data.demonstration import Demonstration
from backend.documents import validate
from backend.errors import StateError, StopRequested, UserError
from backend.evaluation.premise import check_premise
from backend.evaluation.scorers import score
from backend.evaluation.suite import Suite
from backend.jobs.closing import EVALUATING
from backend.jobs.estimates import lengths_of
from backend.jobs.exports import finished_adapter
from backend.jobs.general import general_prompts
from backend.jobs.tasks import StoredTask, demonstrations, find_task
from backend.jobs.work.context import JobContext, checkpoint_folder
from backend.jobs.work.memory import wait_for_memory
from backend.jobs.work.models import prepare_model
from backend.jobs.work.probes import probe_finder, task_probe
from backend.jobs.work.ranks import several
from backend.jobs.work.stop_rules import reason_to_stop
from backend.models.language_model import LanguageModel
from backend.models.workload import PREMISE_ROWS
from backend.text.contexts import rests_on_premise
from backend.training.checkpoints import verify_checkpoint
from backend.training.loop import make_trainer
from backend.training.loop import train as train_loop
from backend.training.ranks import ALONE, Ranks
from backend.training.row_checks import Rows
from backend.training.trainer import Trainer
from storage.artifacts import Artifacts
from storage.runs import Runs


def train(job: JobContext) -> None:
    """Trains as the run's configuration says. Raises StopRequested if the user ends it."""
    config = validate(RunConfig, job.config, f"run {job.run_id}")
    stored = find_task(job.database, config.task)
    wait_for_memory(job, config, lengths_of(job.database, job.settings, config, stored))
    try:
        with several(job, config.devices) as (own, ranks):
            _train(own, config, stored, ranks)
    except StopRequested:
        # A run that was stopped hands over what it has learned so far.
        _leave_adapter(job)
        raise
    _leave_adapter(job)


def _train(job: JobContext, config: RunConfig, stored: StoredTask, ranks: Ranks) -> None:
    trainer, rows = _ready(job, config, stored, ranks)
    measure = _Measure(job, config, trainer.model, stored, rows)
    train_loop(trainer, rows, job.recorder, job.folder / "checkpoints", measure)


def follow(job: JobContext, ranks: Ranks) -> None:
    """The part of a process that trains along with the first one: all but telling and measuring."""
    config = validate(RunConfig, job.config, f"run {job.run_id}")
    config = config.model_copy(update={"traces": TracesConfig(every=0)})
    trainer, rows = _ready(job, config, find_task(job.database, config.task), ranks)
    train_loop(trainer, rows, job.recorder, job.folder / "checkpoints", lambda _done: None)


def _ready(
    job: JobContext, config: RunConfig, stored: StoredTask, ranks: Ranks
) -> tuple[Trainer, Rows]:
    four_bit = config.adapter.four_bit
    model = prepare_model(job, config.model, steps=config.steps, four_bit=four_bit)
    rows = rows_of(job, config, stored.version.id)
    return trainer_of(job, config, model, stored.version.scorer, ranks), rows


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
        self._has_stopped = False
        self._suite = Suite(
            config.evaluate.probes,
            task_probe(job.database, stored, config.evaluate.max_new_tokens, job.settings),
            probe_finder(job.database, config.evaluate.max_new_tokens, job.settings),
            job.recorder,
        )

    def __call__(self, done: int) -> str | None:
        """Scores as the model stands; a rule's reason to stop, where a point of the curve has one.

        After that it is asked once more, for the scores of the end.
        """
        ends = done in (0, self._config.steps) or self._has_stopped
        self._progress(done, EVALUATING)
        if done == 0 and self._config.evaluate.premise and rests_on_premise(self._config.teacher):
            self._premise()
        if ends:
            is_base = done == 0 and self._config.start_from is None
            self._suite.measure(self._model, done, self._config.evaluate, is_base=is_base)
        else:
            self._suite.look(self._model, done, self._config.evaluate)
        self._job.recorder.flush()
        if ends:
            return None
        reason = reason_to_stop(self._job.database, self._job.run_id, self._config)
        self._has_stopped = reason is not None
        return reason

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
            self._rows.training[: config.teacher.examples],
        )
        self._job.recorder.result({"premise": found.as_document()})
        level = "info" if found.best.verdict == "go" else "warning"
        self._job.recorder.event("premise", found.best.sentence, level=level)

    def _progress(self, done: int, phase: str) -> None:
        if self._job.recorder.stop_requested() and done == 0:
            raise StopRequested("stopped before the first step")
        total = done if self._has_stopped else self._config.steps
        self._job.recorder.progress(done, total, None, phase)


def rows_of(job: JobContext, config: RunConfig, version_id: str) -> Rows:
    """What the run trains on: the task's rows or general prompts; held out are the task's."""
    is_general = config.rollout.prompts == "general"
    return Rows(
        general_prompts() if is_general else demonstrations(job.database, version_id, "training"),
        demonstrations(job.database, version_id, "held_out"),
    )


def trainer_of(
    job: JobContext,
    config: RunConfig,
    model: LanguageModel,
    scorer: str,
    ranks: Ranks = ALONE,
) -> Trainer:
    """The run's trainer at step 0, with the adapters of other runs that it needs."""

    def judge(answer: str, row: Demonstration) -> tuple[float, str]:
        judged = score(scorer, answer, row)
        return judged.value, judged.reason

    return make_trainer(
        model,
        config,
        _folder_of(job, config.start_from, "start_from"),
        teach_from=_folder_of(job, config.teacher.run, "teacher.run"),
        judge=judge,
        ranks=ranks,
    )


def _folder_of(job: JobContext, run_id: str | None, where: str) -> Path | None:
    """The folder of the last checkpoint of another run."""
    if run_id is None:
        return None
    run = Runs(job.database).get(run_id)
    checkpoint = Artifacts(job.database).checkpoint(run_id) if run else None
    if checkpoint is None:
        raise StateError(
            f"run {run_id} has no checkpoint to take",
            where=where,
            remedy="name a run that has trained at least to its first checkpoint",
        )
    folder = checkpoint_folder(job.settings, checkpoint)
    verify_checkpoint(folder)
    return folder
