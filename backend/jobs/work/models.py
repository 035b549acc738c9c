"""A base model, found, fetched and loaded for a job."""

from __future__ import annotations

from backend.jobs.work.context import JobContext
from backend.models.compute import choose_compute
from backend.models.language_model import LanguageModel, load_model
from backend.models.materialise import local_folder


def prepare_model(job: JobContext, name: str, steps: int) -> LanguageModel:
    """The model on this machine's device; the run's progress says what is going on meanwhile."""
    job.recorder.progress(0, steps, None, "loading the model")
    job.recorder.flush()
    folder = local_folder(name, job.settings.home)
    return load_model(name, folder, choose_compute(job.settings.threads))
