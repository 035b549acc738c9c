"""Small real work for workers under test: counts steps, as its run's config says."""

from __future__ import annotations

import json
import os
import signal
import time

from sqlalchemy import text

from backend import atomic
from backend.errors import DataError, StopRequested
from backend.jobs.work.context import JobContext


def count(job: JobContext) -> None:
    """Counts to ``steps`` with a checkpoint every second one; resumes from the last.

    ``die_at`` kills the worker in the middle of that step on the first attempt, ``hang_at`` waits
    there until it is told to stop, ``deaf`` ignores that, ``mortal`` dies of SIGTERM, and
    ``freezes_database`` keeps the write lock meanwhile.
    """
    config = job.config
    start = _last_checkpoint(job)
    job.recorder.rewind(start)
    for step in range(start + 1, config["steps"] + 1):
        job.recorder.progress(step, config["steps"], None, "counting")
        job.recorder.metrics(step, {"loss": 1 / step, "step_again": float(step)})
        if step == config.get("die_at") and start == 0:
            job.recorder.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        if step == config.get("always_die_at"):
            os._exit(9)
        if step == config.get("hang_at"):
            _hang(job)
        if step % 2 == 0:
            _checkpoint(job, step)
        if job.recorder.stop_requested():
            raise StopRequested(f"stopped at step {step}")
    job.recorder.result({"counted": config["steps"], "from": start})


def break_down(job: JobContext) -> None:
    """Fails as the config says."""
    job.recorder.metrics(1, {"loss": float("nan")})
    if job.config.get("user"):
        raise DataError("row 3 is empty", where="task x", remedy="remove it")
    raise ZeroDivisionError("one by none")


def _hang(job: JobContext) -> None:
    if job.config.get("mortal"):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    job.recorder.event("hanging", "waiting to be stopped")
    if job.config.get("freezes_database"):
        with job.database.write() as session:
            session.execute(text("SELECT 1"))
            _wait_for_the_end(job)
    _wait_for_the_end(job)


def _wait_for_the_end(job: JobContext) -> None:
    while job.config.get("deaf") or not job.recorder.stop_requested():
        time.sleep(0.01)


def _checkpoint(job: JobContext, step: int) -> None:
    folder = job.folder / "checkpoints" / f"{step:06d}"
    with atomic.new_folder(folder) as partial:
        (partial / "state.json").write_text(json.dumps({"step": step}))
    job.recorder.checkpoint(step, folder, atomic.folder_sha256(folder), atomic.size_of(folder))


def _last_checkpoint(job: JobContext) -> int:
    return max((int(path.name) for path in job.folder.glob("checkpoints/[0-9]*")), default=0)


KINDS = {"count": count, "break": break_down}
