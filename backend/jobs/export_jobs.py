"""Models that a job writes (merged, GGUF), and their way to the place that the user names."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from backend.atomic import file_sha256, new_file, new_folder, size_of
from backend.errors import Fault, StateError, UserError, stored_error
from backend.export.archive import check_kind, pack
from backend.jobs.checkpoints import find_checkpoint
from backend.jobs.documents import Document
from backend.jobs.estimates import check_memory
from backend.jobs.queue import find_run
from backend.settings import Settings
from storage.database import Database
from storage.models import Run

JOB_FORMATS: Final = ("merged", "gguf")


def check_target(target: Path, form: str) -> None:
    """Raises StateError where something is already, and UserError for a name that does not fit."""
    check_kind(target)
    if target.exists():
        raise StateError(
            "there is something at this place already",
            where=str(target),
            remedy="name another place, or remove it first",
        )
    if form == "gguf" and _is_zip(target):
        raise UserError(
            "a GGUF file is not packed as a ZIP file",
            where=str(target),
            remedy="name a .gguf file or a folder",
        )


def export_run(
    database: Database, settings: Settings, name: str, form: str, checkpoint: int | None
) -> Run:
    """The row of an export. Raises NotFound, and StateError for a run without that checkpoint."""
    if form not in JOB_FORMATS:
        raise UserError(
            f'no job writes "{form}"',
            where="format",
            remedy=f"use one of {', '.join(JOB_FORMATS)}",
        )
    run = find_run(database, name)
    find_checkpoint(database, run.id, checkpoint)
    check_memory(settings, run.model)
    return Run(
        name=f"{run.name} as {form}",
        kind="export",
        config={"run": run.id, "format": form, "checkpoint": checkpoint},
        task_version_id=run.task_version_id,
        model=run.model,
        total_steps=1,
        group_id=run.group_id,
    )


def take_export(settings: Settings, job: Run, target: Path) -> Document:
    """Copies what the job wrote to ``target``, whole or not at all; path, sha256 and bytes.

    Raises the job's own error if it failed, and StateError if it was stopped or its file is gone.
    """
    if job.state != "done":
        raise _why_not(job)
    found = job.result or {}
    source = settings.home / found["path"]
    if not source.exists():
        raise StateError(
            f"the file that it wrote is gone ({source})",
            where=job.name,
            remedy="export it again",
        )
    target = target.expanduser().resolve()
    check_target(target, job.config["format"])
    if source.is_dir() and _is_zip(target):
        with new_file(target) as partial:
            pack(source, partial)
        return {"path": str(target), "sha256": file_sha256(target), "bytes": size_of(target)}
    if source.is_dir():
        with new_folder(target) as partial:
            shutil.copytree(source, partial, dirs_exist_ok=True)
    elif target.suffix.lower() == source.suffix.lower():
        with new_file(target) as partial:
            shutil.copyfile(source, partial)
    else:
        with new_folder(target) as partial:
            shutil.copyfile(source, partial / source.name)
    return {"path": str(target), "sha256": found["sha256"], "bytes": found["bytes"]}


def _is_zip(target: Path) -> bool:
    return target.suffix.lower() == ".zip"


def _why_not(job: Run) -> Exception:
    if job.error:
        return stored_error(job.error, job.name)
    if job.state == "cancelled":
        return StateError(
            "the export was stopped", where=job.name, remedy="start it again with: sdlab export"
        )
    return Fault(f"the export is {job.state}", where=job.name, remedy="wait for it")
