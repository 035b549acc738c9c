"""How busy, full and warm the GPUs are right now; nothing where there is none."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_FIELDS: Final = "index,utilization.gpu,memory.used,memory.total,temperature.gpu"
_TIMEOUT_S: Final = 10


@dataclass(frozen=True)
class GpuState:
    """One GPU; None stands for what its driver does not tell."""

    index: int
    use_percent: int | None
    memory_used_mib: int | None
    memory_total_mib: int | None
    temperature_c: int | None


def gpu_states() -> Sequence[GpuState]:
    """What nvidia-smi tells; empty without it."""
    command = ["nvidia-smi", f"--query-gpu={_FIELDS}", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError):
        return ()
    return parse_states(told.stdout) if told.returncode == 0 else ()


def parse_states(listing: str) -> Sequence[GpuState]:
    """The GPUs of nvidia-smi's lines; others are passed over."""
    rows = [[cell.strip() for cell in line.split(",")] for line in listing.splitlines()]
    return [
        GpuState(int(row[0]), *(int(cell) if cell.isdecimal() else None for cell in row[1:]))
        for row in rows
        if len(row) == len(_FIELDS.split(",")) and row[0].isdecimal()
    ]
