"""An export job's work as its contract has it, small enough for tests."""

from __future__ import annotations

from backend.atomic import file_sha256, folder_sha256, new_file, new_folder, size_of
from backend.errors import ModelError
from backend.jobs.work.context import JobContext, run_folder


def export(job: JobContext) -> None:
    """Writes a folder for ``merged`` and a file for ``gguf``; fails for checkpoint 1."""
    if job.config["checkpoint"] == 1:
        raise ModelError("its layers cannot be merged", where="model", remedy="use peft")
    folder = run_folder(job.settings, job.config["run"]) / "exports"
    if job.config["format"] == "merged":
        target, digest = folder / "merged", folder_sha256
        with new_folder(target, replace=True) as partial:
            (partial / "config.json").write_text("{}")
            (partial / "model.safetensors").write_text("weights")
    else:
        target, digest = folder / "model.gguf", file_sha256
        with new_file(target) as partial:
            partial.write_text("GGUF")
    job.recorder.result(
        {
            "artifact": "a1",
            "path": str(target),
            "sha256": digest(target),
            "bytes": size_of(target),
        }
    )


KINDS = {"export": export}
