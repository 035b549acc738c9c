"""The work of an evaluation job: probes on a base model, or on a run's checkpoint."""

from __future__ import annotations

from backend.config import EvaluateConfig
from backend.documents import validate
from backend.evaluation.suite import Suite
from backend.jobs.closing import EVALUATING
from backend.jobs.job_configs import EvaluationConfig
from backend.jobs.tasks import find_task
from backend.jobs.work.context import JobContext
from backend.jobs.work.memory import wait_to_load
from backend.jobs.work.models import has_four_bit_base, prepare_model, take_checkpoint
from backend.jobs.work.probes import probe_finder, task_probe


def evaluate(job: JobContext) -> None:
    """Scores the probes and records them under this job; step 0 is the base model."""
    config = validate(EvaluationConfig, job.config, f"evaluation {job.run_id}")
    wait_to_load(job, config.model)
    four_bit = has_four_bit_base(job, config.run)
    model = prepare_model(job, config.model, steps=1, four_bit=four_bit)
    step = take_checkpoint(job, model, config.run, config.checkpoint).step if config.run else 0
    own = find_task(job.database, config.task) if config.task else None
    suite = Suite(
        config.probes,
        task_probe(job.database, own, config.max_new_tokens, job.settings) if own else None,
        probe_finder(job.database, config.max_new_tokens, job.settings),
        job.recorder,
    )
    limits = EvaluateConfig(limit=config.limit, facts_limit=config.limit)
    job.recorder.progress(0, 1, None, EVALUATING)
    suite.measure(model, step, limits, is_base=config.run is None)
    job.recorder.progress(1, 1, 0.0, "done")
