"""The work of an export job: a run's student as a model of its own, merged or as GGUF."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import torch

from backend.config import RunConfig
from backend.documents import validate
from backend.export.gguf_file import write_gguf
from backend.export.merged import write_merged
from backend.export.model_card import model_card
from backend.jobs.exports import card_facts, register, training_run
from backend.jobs.job_configs import ExportConfig
from backend.jobs.work.context import JobContext, run_folder
from backend.jobs.work.memory import wait_to_export
from backend.jobs.work.models import prepare_model, take_checkpoint
from backend.models.compute import Compute

# On a GPU the base is bf16, too coarse to hold what an adapter adds: merged in fp32, on the CPU.
_EXACT: Final = Compute(torch.device("cpu"), torch.float32)


def export(job: JobContext) -> None:
    """Writes the model under the run's folder, where a later export of the same replaces it.

    The result names the artifact, its path, hash and size.
    """
    config = validate(ExportConfig, job.config, f"export {job.run_id}")
    run = training_run(job.database, config.run)
    wait_to_export(job, validate(RunConfig, run.config, f"run {run.id}"), config.format)
    model = prepare_model(job, run.config["model"], steps=1, compute=_EXACT)
    checkpoint = take_checkpoint(job, model, run.id, config.checkpoint)
    facts = card_facts(job.database, job.settings, run, checkpoint)
    if facts.form == "adapter":
        facts = replace(facts, form="merged")
    job.recorder.progress(0, 1, None, "writing the model")
    folder = run_folder(job.settings, run.id) / "exports"
    if config.format == "merged":
        target = folder / f"step-{checkpoint.step:08d}-merged"
        exported = write_merged(model, model_card(facts), target)
    else:
        target = folder / f"step-{checkpoint.step:08d}.gguf"
        exported = write_gguf(model, facts.run_name, target)
    path = target.relative_to(job.settings.home).as_posix()
    artifact = register(job.database, run.id, config.format, exported, path)
    job.recorder.result(
        {
            "artifact": artifact,
            "path": str(exported.path),
            "sha256": exported.sha256,
            "bytes": exported.bytes,
        }
    )
    job.recorder.progress(1, 1, 0.0, "done")
