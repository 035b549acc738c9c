"""What this machine can do: its GPU by name, or its cores as measured once. Never loads torch."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psutil

from backend.atomic import write_text
from backend.models import cpu_speed
from backend.settings import Settings

log = logging.getLogger(__name__)

CACHE_NAME: Final = "hardware.json"
CACHE_DAYS: Final = 30
# bf16 TFLOPS without sparsity and memory GB/s, from the makers' data sheets; fp32 for the two
# that have no bf16. The first name that the device's name contains counts.
GPUS: Final[Mapping[str, tuple[float, float]]] = {
    "B200": (2250, 8000),
    "H200": (989, 4800),
    "H100 PCIe": (756, 2000),
    "H100": (989, 3350),
    "A100": (312, 1555),
    "L40S": (362, 864),
    "L4": (121, 300),
    "A10G": (70, 600),
    "A10": (125, 600),
    "RTX A6000": (155, 768),
    "RTX 5090": (209, 1792),
    "RTX 4090": (165, 1008),
    "RTX 4080": (97, 717),
    "RTX 3090": (71, 936),
    "RTX 3080": (59, 760),
    "V100": (15.7, 900),
    "T4": (8.1, 300),
}
UNKNOWN_GPU: Final = (10.0, 200.0)
# A core of a small laptop, where the measurement fails.
_SLOW_CORE: Final = {"matmul_gflops": 30.0, "read_gb_s": 8.0}
# A few cores already use all of the memory's bandwidth.
_READING_CORES: Final = 4
_CGROUP: Final = Path("/sys/fs/cgroup")
# Limit, use and statistics of a container's memory, in the second and the first version of cgroups.
_CGROUP_MEMORY: Final = (
    ("memory.max", "memory.current", "memory.stat"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
)


@dataclass(frozen=True)
class HardwareProfile:
    """Where workers compute: the first GPU that torch can use, else all cores together."""

    device: str
    is_gpu: bool
    matmul_gflops: float
    memory_gb_s: float
    memory_mib_total: int
    memory_mib_free: int

    @property
    def bytes_per_weight(self) -> int:
        """bf16 on a GPU, fp32 on the CPU: as backend.models.compute chooses."""
        return 2 if self.is_gpu else 4


def hardware_profile(settings: Settings) -> HardwareProfile:
    """This machine's profile; the first call measures a core (0.5 s) and remembers it."""
    if torch_uses_gpus(_version("torch"), os.environ):
        gpu = parse_gpu(_nvidia_smi())
        if gpu is not None:
            return gpu
    cores = usable_cores(settings.threads)
    core = _core_speed(settings.home)
    total, free = memory_mib()
    return HardwareProfile(
        device=f"{cores} CPU core{'s' if cores > 1 else ''}",
        is_gpu=False,
        matmul_gflops=core["matmul_gflops"] * cores,
        memory_gb_s=core["read_gb_s"] * min(cores, _READING_CORES),
        memory_mib_total=total,
        memory_mib_free=free,
    )


def visible_gpus() -> list[str]:
    """The GPUs that torch can use, by the names that CUDA_VISIBLE_DEVICES has for them."""
    if not torch_uses_gpus(_version("torch"), os.environ):
        return []
    return gpu_names(_nvidia_smi(), os.environ.get("CUDA_VISIBLE_DEVICES"))


def gpu_names(listing: str, chosen: str | None) -> list[str]:
    """One name a line of nvidia-smi's listing, or those of them that the variable chooses."""
    count = sum(parse_gpu(line) is not None for line in listing.splitlines())
    if chosen is None:
        return [str(number) for number in range(count)]
    return [name.strip() for name in chosen.split(",") if name.strip()][:count]


def torch_uses_gpus(torch_version: str | None, environment: Mapping[str, str]) -> bool:
    """Whether the installed torch was built for GPUs and none of them are hidden from it."""
    hidden = environment.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1")
    return torch_version is not None and "+cpu" not in torch_version and not hidden


def parse_gpu(listing: str) -> HardwareProfile | None:
    """The first GPU of nvidia-smi's ``name, memory.total, memory.free`` lines; None without one."""
    for line in listing.splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) == 3 and parts[1].isdecimal() and parts[2].isdecimal():
            known = (rates for name, rates in GPUS.items() if name in parts[0])
            tflops, gb_s = next(known, UNKNOWN_GPU)
            return HardwareProfile(
                parts[0], True, tflops * 1000, gb_s, int(parts[1]), int(parts[2])
            )
    return None


def usable_cores(threads: int = 0) -> int:
    """Physical cores that this process may use; at most ``threads`` unless that is 0.

    Its cpuset and its container's share of time both count.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    physical = psutil.cpu_count(logical=False) or allowed or 1
    quota = cores_of_quota(_CGROUP) or physical
    return max(1, min(physical, allowed or 1, quota, threads or physical))


def cores_of_quota(cgroup: Path) -> int | None:
    """Whole cores, one at least, whose time a container may use; None where nothing limits it."""
    try:
        if (cgroup / "cpu.max").is_file():
            quota, period = (cgroup / "cpu.max").read_text().split()
        else:
            quota = (cgroup / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text().strip()
    except (OSError, ValueError):
        return None
    if not quota.isdecimal() or not period.isdecimal() or int(period) == 0:
        return None  # "max" in the second version of cgroups, -1 in the first
    return max(1, int(quota) // int(period))


def memory_mib(cgroup: Path = _CGROUP) -> tuple[int, int]:
    """Total and available memory, of the container where one sets a limit."""
    memory = psutil.virtual_memory()
    total, free = memory.total, memory.available
    for limit, used, statistics in _CGROUP_MEMORY:
        try:
            most, taken = ((cgroup / name).read_text().strip() for name in (limit, used))
            kept = dict(line.split() for line in (cgroup / statistics).read_text().splitlines())
        except (OSError, ValueError):
            continue
        if most.isdecimal() and taken.isdecimal():
            # What files keep in memory is given back when it is needed.
            files = int(kept.get("inactive_file", 0)) + int(kept.get("active_file", 0))
            total, free = min(total, int(most)), min(free, int(most) - int(taken) + files)
    return total >> 20, max(0, min(total, free)) >> 20


def _core_speed(home: Path) -> Mapping[str, float]:
    """What one core does, from the lab's cache if it is of this machine and not old."""
    path = home / CACHE_NAME
    known = _read_cache(path)
    if known is not None:
        return known
    measured = _measure()
    document = asdict(_Measured(platform.node(), os.cpu_count() or 1, _now(), **measured))
    try:
        write_text(path, json.dumps(document, indent=1))
    except OSError as error:
        log.warning("the measured speed is not kept: %s", error)
    return measured


@dataclass(frozen=True)
class _Measured:
    """The cache's content."""

    host: str
    cpus: int
    measured_at: str
    matmul_gflops: float
    read_gb_s: float


def _read_cache(path: Path) -> Mapping[str, float] | None:
    try:
        document: dict[str, Any] = json.loads(path.read_text("utf-8"))
        kept = _Measured(**document)
        age = datetime.now(UTC) - datetime.fromisoformat(kept.measured_at)
    except (OSError, ValueError, TypeError):
        return None
    here = (kept.host, kept.cpus) == (platform.node(), os.cpu_count())
    if not here or age > timedelta(days=CACHE_DAYS):
        return None
    return {"matmul_gflops": kept.matmul_gflops, "read_gb_s": kept.read_gb_s}


def _measure() -> dict[str, float]:
    one = ("OPENBLAS", "MKL", "OMP", "BLIS")
    environment = {f"{library}_NUM_THREADS": "1" for library in one}
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(cpu_speed.__file__)],
            env={**os.environ, **environment, "VECLIB_MAXIMUM_THREADS": "1"},
            capture_output=True,
            check=True,
            text=True,
            timeout=60,
        )
        measured: dict[str, float] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        log.warning("the CPU's speed could not be measured, a slow one is assumed: %s", error)
        return dict(_SLOW_CORE)
    return measured


def _nvidia_smi() -> str:
    query = ["--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        return subprocess.run(
            ["nvidia-smi", *query], capture_output=True, check=True, text=True, timeout=20
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        log.info("no GPU found: %s", error)
        return ""


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat()
