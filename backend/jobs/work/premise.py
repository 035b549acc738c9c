"""The work of a premise check: one or all context forms on a task's held-out rows."""

from __future__ import annotations

import time
from typing import Final

from backend.config import TeacherConfig
from backend.documents import validate
from backend.errors import StopRequested
from backend.evaluation.premise import check_premise
from backend.jobs.job_configs import PremiseConfig
from backend.jobs.tasks import demonstrations, find_task
from backend.jobs.work.context import JobContext
from backend.jobs.work.memory import wait_to_load
from backend.jobs.work.models import prepare_model
from backend.text.contexts import DEMONSTRATION_FORMS

# As many as the form that shows several demonstrations shows besides the row's own.
_OTHERS: Final = TeacherConfig().examples


def premise(job: JobContext) -> None:
    """Checks the premise and keeps the finding as the run's result."""
    config = validate(PremiseConfig, job.config, f"premise check {job.run_id}")
    stored = find_task(job.database, config.task)
    wait_to_load(job, config.model)
    model = prepare_model(job, config.model, steps=1)
    training = demonstrations(job.database, stored.version.id, "training")
    rows = demonstrations(job.database, stored.version.id, "held_out")
    if config.rows == "all":
        rows = [*training, *rows]
    rows = rows[: config.limit or None]
    contexts = list(DEMONSTRATION_FORMS) if config.context == "auto" else [config.context]
    readers = len(contexts) + 1
    began_s = time.monotonic()

    def next_reader(done: int, reader: str) -> None:
        if job.recorder.stop_requested():
            raise StopRequested("stopped before all contexts were checked")
        took_s = time.monotonic() - began_s
        eta_s = took_s / done * (readers - done) if done else None
        job.recorder.progress(done, readers, eta_s, f"asking {reader}")
        job.recorder.flush()

    found = check_premise(
        model,
        rows,
        stored.version.scorer,
        TeacherConfig(weights="base", context=contexts[0]),
        contexts,
        config.max_new_tokens,
        job.settings,
        next_reader,
        training[:_OTHERS],
    )
    job.recorder.result({"premise": found.as_document()})
    job.recorder.event("premise", found.sentence)
    job.recorder.progress(readers, readers, 0.0, "done")
