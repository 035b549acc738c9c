"""The work of an evaluation job: probes on a base model, or on a run's checkpoint."""

from __future__ import annotations

from backend.config import AdapterConfig, EvaluateConfig, EvaluationConfig, RunConfig, validate
from backend.errors import NotFound, StateError
from backend.evaluation.suite import Suite
from backend.jobs.tasks import find_task
from backend.jobs.work.context import JobContext, checkpoint_folder
from backend.jobs.work.models import prepare_model
from backend.jobs.work.probes import probe_finder, task_probe
from backend.models.language_model import LanguageModel
from backend.training.checkpoints import load_adapter, verify_checkpoint
from storage.artifacts import Artifacts
from storage.runs import Runs


def evaluate(job: JobContext) -> None:
    """Scores the probes and records them under this job; step 0 is the base model."""
    config = validate(EvaluationConfig, job.config, f"evaluation {job.run_id}")
    model = prepare_model(job, config.model, steps=1)
    step = _take_checkpoint(job, config, model) if config.run else 0
    own = find_task(job.database, config.task) if config.task else None
    suite = Suite(
        config.probes,
        task_probe(job.database, own, config.max_new_tokens) if own else None,
        probe_finder(job.database, config.max_new_tokens),
        job.recorder,
    )
    limits = EvaluateConfig(limit=config.limit, facts_limit=config.limit)
    suite.measure(model, step, limits, is_base=config.run is None)
    job.recorder.progress(1, 1, 0.0, "done")


def _take_checkpoint(job: JobContext, config: EvaluationConfig, model: LanguageModel) -> int:
    """Puts the run's adapter on the model; returns the checkpoint's step."""
    run = Runs(job.database).get(config.run or "")
    if run is None:
        raise NotFound(f"run {config.run} is gone", where="run")
    checkpoint = Artifacts(job.database).checkpoint(run.id, config.checkpoint)
    if checkpoint is None:
        raise StateError(
            f"run {run.id} has no checkpoint of step {config.checkpoint}",
            where="checkpoint",
            remedy=f"see sdlab show {run.id}",
        )
    adapter: AdapterConfig = validate(RunConfig, run.config, f"run {run.id}").adapter
    folder = checkpoint_folder(job.settings, checkpoint)
    verify_checkpoint(folder)
    model.add_adapter(adapter, seed=0)
    load_adapter(model, folder)
    return checkpoint.step
