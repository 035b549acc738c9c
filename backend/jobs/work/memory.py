"""Memory before a job begins: whether there is room for it, who has it, and what would help."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import psutil
import torch

from backend.config import RunConfig
from backend.errors import ModelError, StopRequested
from backend.jobs.estimates import SHORTEST, smallest
from backend.jobs.work.context import JobContext
from backend.models.compute import choose_device
from backend.models.dimensions import read_dimensions
from backend.models.hardware import memory_mib
from backend.models.memory import export_parts, gib, largest_part, memory_parts
from backend.models.workload import Lengths
from storage.models import ACTIVE, Run
from storage.runs import Runs

WAITING: Final = "waiting for memory"
LOOK_S: Final = 2.0
# Looks at memory that nobody of this lab holds: the worker before may not be gone altogether.
LOOKS: Final = 3
# Estimates came within 15 % of what was measured: one that is a little too high stops no run.
_CERTAIN: Final = 0.85


@dataclass(frozen=True)
class Room:
    """A device's memory: free, and taken by this process already."""

    device: str
    is_gpu: bool
    total_mib: float
    free_mib: float
    own_mib: float


def room_here() -> Room:
    """The memory of the device that this process computes on."""
    if choose_device().type == "cuda":
        free, total = torch.cuda.mem_get_info()
        # What the driver itself takes is gone from the free memory, and in every estimate.
        return Room(torch.cuda.get_device_name(), True, total >> 20, free >> 20, math.inf)
    return room_of_machine()


def room_of_machine() -> Room:
    """The memory that what computes on the CPU takes, also where there is a GPU."""
    total_mib, free_mib = memory_mib()
    own_mib = psutil.Process().memory_info().rss >> 20
    return Room("this machine", False, total_mib, free_mib, own_mib)


def wait_for_memory(
    job: JobContext,
    config: RunConfig,
    lengths: Lengths,
    look: Callable[[], Room] = room_here,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Returns once a run as configured fits; waits while other runs of this lab have the memory.

    Raises ModelError, with the knob that helps, where none of them has it, and StopRequested.
    """
    size = read_dimensions(config.model, job.settings.home)
    if size is None:
        return

    def needed(room: Room) -> Mapping[str, float]:
        return memory_parts(config, lengths, size, is_gpu=room.is_gpu)

    def helps(parts: Mapping[str, float], room_mib: float) -> tuple[str, str]:
        return largest_part(config, lengths, parts, room_mib)

    _wait(job, config.steps, needed, helps, look, sleep)


def wait_to_load(job: JobContext, model: str) -> None:
    """As wait_for_memory, for a job that reads with the model and trains nothing."""
    wait_for_memory(job, smallest(model), SHORTEST)


def wait_to_export(
    job: JobContext,
    config: RunConfig,
    form: str,
    look: Callable[[], Room] = room_of_machine,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """As wait_for_memory, for a job that writes the student of a run as a model of its own."""
    size = read_dimensions(config.model, job.settings.home)
    if size is None:
        return

    def helps(_parts: Mapping[str, float], room_mib: float) -> tuple[str, str]:
        merged_mib = math.fsum(export_parts(config, size, "merged").values())
        fits = form != "merged" and _CERTAIN * merged_mib <= room_mib
        knob = "merged, which needs less" if fits else "peft, which loads no model"
        return f"the model in fp32 ({gib(size.parameters * 4 / 2**20)})", f"export it as {knob}"

    _wait(job, 1, lambda _room: export_parts(config, size, form), helps, look, sleep)


def _wait(
    job: JobContext,
    steps: int,
    needed: Callable[[Room], Mapping[str, float]],
    helps: Callable[[Mapping[str, float], float], tuple[str, str]],
    look: Callable[[], Room],
    sleep: Callable[[float], object],
) -> None:
    """Waits for the ``needed`` MiB by part; ``helps`` names the largest part and its knob."""
    what = "export" if job.kind == "export" else "run"
    looks, is_told = 0, False
    while True:
        room = look()
        parts = needed(room)
        own_mib = min(room.own_mib, parts["runtime_mib"])
        needed_mib = math.fsum(parts.values())
        if _CERTAIN * needed_mib <= room.free_mib + own_mib:
            break
        others = _others_at_work(job)
        looks = 0 if others else looks + 1
        found = (
            f"the {what} needs about {gib(needed_mib)} of memory, and {gib(room.free_mib)} of the "
            f"{gib(room.total_mib)} of {room.device} are free"
        )
        if looks >= LOOKS:
            words, knob = helps(parts, room.free_mib + own_mib)
            raise ModelError(
                f"{found}; the largest part: {words}",
                where="memory",
                remedy=f"{knob}; or close other programs, then: sdlab resume {job.run_id}",
            )
        if others and not is_told:
            names = ", ".join(f"{run.name} ({run.id[:8]})" for run in others)
            job.recorder.progress(0, steps, None, WAITING)
            job.recorder.event("low_memory", f"waiting: {found}; at work: {names}", "warning")
            is_told = True
        if job.recorder.stop_requested():
            raise StopRequested("stopped while it waited for memory")
        sleep(LOOK_S)
    if is_told:
        job.recorder.event("memory_again", f"there is memory again; the {what} goes on")


def _others_at_work(job: JobContext) -> list[Run]:
    """This machine's other runs that may hold memory; not those that wait for it as well."""
    return [
        run
        for run in Runs(job.database).all(states=ACTIVE)
        if run.id != job.run_id and run.phase != WAITING and run.host == platform.node()
    ]
