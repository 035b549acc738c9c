"""The processes that train a run together with its worker, one for each further device."""

from __future__ import annotations

import logging
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch

from backend.jobs.watches import EXIT_RANK
from backend.jobs.work.context import JobContext
from backend.models.hardware import usable_cores
from backend.training.ranks import ALONE, Ranks, exchange_device, joined

log = logging.getLogger("sdlab.worker")

# Deaf to SIGTERM before anything else: the worker, which gets it too, decides for all.
_START: Final = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "from backend.jobs.work.rank import main; main()"
)
_LOOK_S: Final = 0.2
# For the last line of a process whose part is done.
_LEAVE_S: Final = 20.0


@contextmanager
def several(job: JobContext, devices: int) -> Iterator[tuple[JobContext, Ranks]]:
    """This process as the first of ``devices``, and the job with its share of the cores.

    The others are in the worker's process group, and their output goes to its log. Should one of
    them break down, this process ends at once, and the run is tried again like any lost one.
    """
    if devices == 1:
        yield job, ALONE
        return
    settings = job.settings
    device = exchange_device()
    if device == "cpu":
        threads = max(1, usable_cores(settings.threads) // devices)
        settings = settings.model_copy(update={"threads": threads})
    meeting = job.folder / f".meeting.{secrets.token_hex(4)}.partial"
    others = [
        _start(job, number, devices, meeting, settings.threads) for number in range(1, devices)
    ]
    ended = threading.Event()
    threading.Thread(target=_watch, args=(others, ended), name="ranks", daemon=True).start()
    try:
        with joined(0, devices, meeting, device) as ranks:
            yield replace(job, settings=settings), ranks
        ended.set()
        _wait(others)
    except Exception as error:
        if "gloo" in str(error) or isinstance(error, torch.distributed.DistError):
            # The others are gone, or will be: how they ended says why.
            time.sleep(_LEAVE_S)
        ended.set()
        raise
    finally:
        for process in others:
            process.kill()
            process.wait()
        meeting.unlink(missing_ok=True)


def _start(
    job: JobContext, number: int, size: int, meeting: Path, threads: int
) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "SDLAB_THREADS": str(threads)}
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    if len(gpus) == size:
        environment["CUDA_VISIBLE_DEVICES"] = gpus[number]
    options = [str(job.settings.home), job.run_id, str(number), str(size), str(meeting)]
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _START, *options], stdin=subprocess.DEVNULL, env=environment
    )


def _watch(others: Sequence[subprocess.Popen[bytes]], ended: threading.Event) -> None:
    while not ended.wait(_LOOK_S):
        for number, process in enumerate(others, start=1):
            if process.poll() and not ended.is_set():
                log.error("process %d of the run ended with code %d", number, process.returncode)
                # In the midst of whatever waits for it, for ever.
                os._exit(EXIT_RANK)


def _wait(others: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in others:
        try:
            process.wait(_LEAVE_S)
        except subprocess.TimeoutExpired:
            log.warning("process %d did not end and is killed", process.pid)
