"""Small real work for workers under test: counts steps, as its run's config says."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta

import psutil
from sqlalchemy import Engine, event, text

from backend import atomic
from backend.errors import DataError, StopRequested
from backend.jobs.work.context import JobContext
from storage import models


def count(job: JobContext) -> None:
    """Counts to ``steps`` with a checkpoint every second one; resumes from the last.

    ``die_at`` kills the worker in the middle of that step on the first attempt, ``hang_at`` waits
    there until it is told to stop, ``deaf`` ignores that, ``mortal`` dies of SIGTERM, and
    ``freezes_database`` keeps the write lock meanwhile. ``die_at_rename`` kills it where that
    step's checkpoint, all written, would get its name. ``lags_s`` is the length of a step,
    ``save_s`` that of a checkpoint.
    ``hungry_at`` is the step in which the first attempt asks for more memory than it may have.
    ``clock_jump_s`` sets the wall clock by so much after step 2, ``full_at`` is the step from
    which the database cannot grow for half a second, and ``parent`` leaves a child behind.
    """
    config = job.config
    if config.get("parent"):
        subprocess.Popen(["sleep", "600"])
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
        if step == config.get("hungry_at") and start == 0:
            _need_memory()
        if step == config.get("full_at"):
            _fill(job.database.engine)
            job.recorder.event("long", "x" * 50_000)
        if step == 2 and "clock_jump_s" in config:
            set_wall_clock(config["clock_jump_s"])
        if step == config.get("die_at_rename") and start < step - 2:
            sys.addaudithook(_die_at_rename)
        time.sleep(config.get("lags_s", 0))
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


def tell_device(job: JobContext) -> None:
    """Tells which GPU the process may see."""
    job.recorder.result({"device": os.environ.get("CUDA_VISIBLE_DEVICES")})


def set_wall_clock(by_s: float) -> None:
    """Moves the time of day as the storage sees it."""

    class Moved(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(seconds=by_s)

    models.datetime = Moved


def _die_at_rename(event: str, _arguments: object) -> None:
    if event == "os.rename":
        os.kill(os.getpid(), signal.SIGKILL)


def _need_memory() -> None:
    used = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), resource.RLIM_INFINITY))
    bytearray(512 << 20)


def _fill(engine: Engine) -> None:
    def limit(connection, *_) -> None:
        pages = 1 if time.monotonic() < until_s else 2**30
        connection.execute(f"PRAGMA max_page_count = {pages}")

    until_s = time.monotonic() + 0.5
    event.listen(engine, "checkout", limit)


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
    # A resume does not repeat these steps, so what they told must be stored first.
    job.recorder.flush()
    folder = job.folder / "checkpoints" / f"{step:06d}"
    with atomic.new_folder(folder) as partial:
        (partial / "state.json").write_text(json.dumps({"step": step}))
        time.sleep(job.config.get("save_s", 0))
    job.recorder.checkpoint(step, folder, atomic.folder_sha256(folder), atomic.size_of(folder))


def _last_checkpoint(job: JobContext) -> int:
    return max((int(path.name) for path in job.folder.glob("checkpoints/[0-9]*")), default=0)


KINDS = {"count": count, "break": break_down, "tell_device": tell_device}
