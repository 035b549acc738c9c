"""Ways to bring a worker to life."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Final, Protocol

from backend.jobs.slots import device_environment
from backend.jobs.work.context import run_folder
from backend.models.hardware import visible_gpus
from backend.settings import Settings
from storage.models import Run

LOG_NAME: Final = "worker.log"
# glibc gives freed tensors back to the kernel at every step, and page faults then take half the
# CPU time. Measured with 64 MiB tensors: 3.8 s of system time became 0.2 s; 32 MiB changes nothing.
KEEP_FREED_BYTES: Final = 4 * 2**30
# How often libgomp looks for work before a thread sleeps: 100,000 times are about a millisecond.
SPINS: Final = "1000"
LARGE_PAGES: Final = "glibc.malloc.hugetlb=1"


# What only the server needs; a worker's environment can be read by all of its user's processes.
_SECRET: Final = frozenset({"SDLAB_PASSWORD"})


class Launcher(Protocol):
    """Starts the worker of a claimed run."""

    def __call__(self, run: Run, settings: Settings) -> subprocess.Popen[bytes] | None:
        """The worker's process; None if the worker has already ended or lives elsewhere."""


def launch_local(
    run: Run, settings: Settings, *, work: str | None = None
) -> subprocess.Popen[bytes]:
    """A worker that outlives this process: own session, output to the run's log, no pipe."""
    folder = run_folder(settings, run.id)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOG_NAME).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "backend.jobs.worker", *arguments(run, settings, work)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            close_fds=True,
            env={
                **worker_environment(settings, os.environ),
                **device_environment(run.slot_id, visible_gpus()),
            },
        )


def launch_inline(run: Run, settings: Settings, *, work: str | None = None) -> None:
    """The worker's main in this process; returns when the run has ended."""
    # Imported here only: the web process imports this module and never the worker.
    from backend.jobs.worker import main

    main(arguments(run, settings, work), inline=True, settings=settings)


LAUNCHERS: Final[Mapping[str, Launcher]] = {"local": launch_local, "inline": launch_inline}


def arguments(run: Run, settings: Settings, work: str | None) -> list[str]:
    """The worker's command line."""
    values = ["--home", str(settings.home), "--run", run.id]
    values += ["--owner", run.owner or "", "--attempt", str(run.attempt)]
    return values + (["--work", work] if work else [])


def worker_environment(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with the lab's settings and what a worker needs besides."""
    own = {
        f"SDLAB_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in settings.model_dump(mode="json", exclude_none=True).items()
    }
    return {
        **{name: value for name, value in environment.items() if name not in _SECRET},
        **own,
        "MALLOC_TRIM_THRESHOLD_": str(KEEP_FREED_BYTES),
        "MALLOC_MMAP_THRESHOLD_": str(KEEP_FREED_BYTES),
        # Weights are read faster from pages of 2 MiB (docs/decisions/0016).
        "GLIBC_TUNABLES": environment.get("GLIBC_TUNABLES", LARGE_PAGES),
        # Else a thread spins at a barrier on the core of the one it waits for: beside one busy
        # process on two cores, steps of 5 s took 35 to 56 s. Some 10 microseconds of it cost little
        # there, and spare most wakings elsewhere (docs/decisions/0002).
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": environment.get("GOMP_SPINCOUNT", SPINS),
        "TQDM_DISABLE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
    }
