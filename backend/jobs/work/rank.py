"""A process that trains a run together with its worker; backend.jobs.work.ranks starts it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.errors import SdlabError
from backend.jobs.work.context import JobContext, run_folder
from backend.jobs.work.train import follow
from backend.jobs.worker import log_to_stderr, tell_stacks
from backend.settings import Settings
from backend.training.ranks import exchange_device, joined
from backend.training.recorder import Evaluation, Recorder, Trace
from storage.database import open_database
from storage.runs import Runs

log = logging.getLogger("sdlab.worker")


def main() -> None:
    """Its arguments: SDLAB_HOME, the run, its number, how many there are, where they meet."""
    home, run_id, number, size, meeting = sys.argv[1:]
    log_to_stderr()
    tell_stacks()
    settings = Settings(home=Path(home))
    database = open_database(settings.database)
    run = Runs(database).get(run_id)
    if run is None:
        raise SystemExit(f"run {run_id} is gone")
    folder = run_folder(settings, run_id)
    job = JobContext(run_id, run.kind, run.config, database, settings, _Silence(), folder)
    try:
        with joined(int(number), int(size), Path(meeting), exchange_device()) as ranks:
            follow(job, ranks)
    except SdlabError as error:
        # The worker meets the same, and tells of it.
        log.info("process %s ends: %s", number, error)
    finally:
        database.close()


class _Silence(Recorder):
    """Takes what the loop tells and keeps nothing: the first process tells it as well."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        return None

    def progress(self, step: int, total: int, eta_s: float | None, phase: str) -> None:
        return None

    def event(self, kind: str, message: str, level: str = "info", **data: Any) -> None:
        return None

    def trace(self, trace: Trace) -> None:
        return None

    def evaluation(self, step: int, evaluation: Evaluation, *, subset: bool = False) -> None:
        return None

    def known_evaluation(self, fingerprint: str) -> Evaluation | None:
        return None

    def checkpoint(self, step: int, folder: Path, sha256: str, size_bytes: int) -> None:
        return None

    def result(self, values: Mapping[str, Any]) -> None:
        return None

    def rewind(self, step: int) -> None:
        return None

    def stop_requested(self) -> bool:
        return False

    def flush(self) -> None:
        return None
