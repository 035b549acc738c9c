"""The one place that decides device, dtype and autocast."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import torch

from backend.models.hardware import usable_cores


@dataclass(frozen=True)
class Compute:
    """Where tensors live, what base weights are stored in, and what matrix products run in."""

    device: torch.device
    dtype: torch.dtype

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """Mixed precision where weights are half precision; nothing where they are fp32."""
        if self.dtype == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)


def choose_compute(threads: int = 0) -> Compute:
    """bf16 on a GPU that has it, fp16 weights never, fp32 elsewhere; sets torch's thread count.

    More threads than cores that this process may use would wait for each other at every product.
    """
    torch.set_num_threads(usable_cores(threads))
    device = choose_device()
    has_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return Compute(device, torch.bfloat16 if has_bf16 else torch.float32)


def choose_device() -> torch.device:
    """CUDA's GPU, else Apple's, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
