"""What a worker takes of its machine: memory and processor, and its GPUs where NVML tells."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import ModuleType
from typing import Any, Final

import psutil

from backend.models.memory import MIB

log = logging.getLogger(__name__)

# The curves that a worker's samples are stored as; of memory also the most so far.
KEYS: Final = ("memory_mib", "cpu_percent", "gpu_memory_mib", "gpu_percent", "gpu_celsius")
MOST: Final = {"memory_mib": "memory_most_mib", "gpu_memory_mib": "gpu_memory_most_mib"}


class Usage:
    """Samples this process, its children and the GPUs that CUDA_VISIBLE_DEVICES leaves it.

    GPUs are asked through nvidia-ml-py; without it, or without a driver, they are left out.
    """

    def __init__(self) -> None:
        self._processes: dict[int, psutil.Process] = {}
        self._most: dict[str, float] = {}
        self._nvml, self._gpus = _gpus(os.environ.get("CUDA_VISIBLE_DEVICES"))
        self._sample_processes()

    def sample(self) -> Mapping[str, float]:
        """Values by the names of KEYS and MOST; the processor's are since the sample before."""
        values = self._sample_processes()
        if self._gpus:
            # A card that fell off its bus must not end the beat that tells of it.
            try:
                values |= self._sample_gpus()
            except self._nvml.NVMLError as error:
                log.warning("the GPU cannot be watched any more: %s", error)
                self._gpus = []
        for key, most in MOST.items():
            if key in values:
                self._most[most] = max(values[key], self._most.get(most, 0.0))
        return values | self._most

    def _sample_processes(self) -> dict[str, float]:
        own = psutil.Process()
        found = {process.pid: process for process in (own, *own.children(recursive=True))}
        # The same objects again: each knows what its process had used before.
        self._processes = {pid: self._processes.get(pid, found[pid]) for pid in found}
        memory, percent = 0, 0.0
        for process in self._processes.values():
            with suppress(psutil.Error):
                memory += process.memory_info().rss
                percent += process.cpu_percent()
        return {"memory_mib": memory / MIB, "cpu_percent": percent}

    def _sample_gpus(self) -> dict[str, float]:
        nvml = self._nvml
        memory = [nvml.nvmlDeviceGetMemoryInfo(gpu).used for gpu in self._gpus]
        busy = [nvml.nvmlDeviceGetUtilizationRates(gpu).gpu for gpu in self._gpus]
        kind = nvml.NVML_TEMPERATURE_GPU
        warmth = [nvml.nvmlDeviceGetTemperature(gpu, kind) for gpu in self._gpus]
        return {
            "gpu_memory_mib": sum(memory) / MIB,
            "gpu_percent": sum(busy) / len(busy),
            "gpu_celsius": float(max(warmth)),
        }


def _gpus(chosen: str | None) -> tuple[Any, Sequence[Any]]:
    """NVML and the GPUs that this process may see; none where nobody chose any."""
    names = [name.strip() for name in (chosen or "").split(",") if name.strip()]
    if not names:
        return None, []
    try:
        nvml: ModuleType = importlib.import_module("pynvml")
    except ImportError:
        return None, []
    try:
        nvml.nvmlInit()
        return nvml, [_gpu(nvml, name) for name in names]
    except nvml.NVMLError as error:
        log.info("GPUs cannot be watched: %s", error)
        return nvml, []


def _gpu(nvml: Any, name: str) -> Any:
    if name.isdecimal():
        return nvml.nvmlDeviceGetHandleByIndex(int(name))
    return nvml.nvmlDeviceGetHandleByUUID(name)
