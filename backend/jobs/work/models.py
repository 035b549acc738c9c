"""A base model, found, fetched and loaded for a job, and a run's student on it."""

from __future__ import annotations

from backend.config import AdapterConfig, RunConfig
from backend.documents import validate
from backend.errors import NotFound
from backend.jobs.checkpoints import find_checkpoint
from backend.jobs.work.context import JobContext, checkpoint_folder
from backend.models.compute import Compute, choose_compute
from backend.models.four_bit import check_four_bit
from backend.models.hardware import hardware_profile
from backend.models.language_model import LanguageModel, load_model
from backend.models.materialise import local_folder
from backend.training.checkpoints import load_adapter, verify_checkpoint
from storage.models import Checkpoint
from storage.runs import Runs


def prepare_model(
    job: JobContext,
    name: str,
    steps: int,
    compute: Compute | None = None,
    *,
    four_bit: bool = False,
) -> LanguageModel:
    """The model, on this machine's device without ``compute``; the run's progress says so.

    Raises ConfigError where it cannot be held in 4 bits.
    """
    if four_bit:
        check_four_bit(hardware_profile(job.settings))
    job.recorder.progress(0, steps, None, "loading the model")
    job.recorder.flush()
    folder = local_folder(name, job.settings.home)
    chosen = choose_compute(job.settings.threads)
    return load_model(name, folder, compute or chosen, four_bit=four_bit)


def has_four_bit_base(job: JobContext, run_id: str | None) -> bool:
    """Whether the base that a run's student stands on is held in 4 bits."""
    run = Runs(job.database).get(run_id) if run_id else None
    return bool(run and run.config.get("adapter", {}).get("four_bit"))


def take_checkpoint(
    job: JobContext, model: LanguageModel, run_id: str, step: int | None
) -> Checkpoint:
    """Puts a run's student, as it was after ``step`` (last without one), on its base model."""
    run = Runs(job.database).get(run_id)
    if run is None:
        raise NotFound(f"run {run_id} is gone", where="run")
    checkpoint = find_checkpoint(job.database, run.id, step)
    adapter: AdapterConfig = validate(RunConfig, run.config, f"run {run.id}").adapter
    folder = checkpoint_folder(job.settings, checkpoint)
    verify_checkpoint(folder)
    model.add_adapter(adapter, seed=0)
    load_adapter(model, folder)
    return checkpoint
