"""Several processes that train one run: who has which rows, and what they tell each other.

Every process goes through the same loop with the same weights. Each rolls out its share of a step's
rows and puts them through the network; completions, hidden states and gradients are then brought
together, so that all take the same step. Nothing that is exchanged is pickled: tensors, and JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import torch
import torch.distributed as dist
from torch import Tensor

from backend.models.compute import choose_device

# The others wait as long as the first one evaluates; who died is noticed by its closed connection.
_PATIENCE: Final = timedelta(days=7)
# Keeps the random numbers of processes apart, as SEED_STRIDE those of steps.
_SEED_STRIDE: Final = 2_147_483_659


@dataclass(frozen=True)
class Ranks:
    """This process's number among ``size`` processes; alone, it has all rows and nobody to ask."""

    number: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def is_first(self) -> bool:
        """Whether this process records, saves and evaluates."""
        return self.number == 0

    def share(self, rows: int) -> range:
        """The places of this process's rows: neighbours, and as many as anybody's but for one."""
        return range(rows * self.number // self.size, rows * (self.number + 1) // self.size)

    def agree(self, value: Any) -> Any:
        """The first process's value, in every process; anything that JSON holds."""
        if self.size == 1:
            return value
        data = json.dumps(value).encode() if self.is_first else b""
        length = torch.tensor([len(data)], device=self.device)
        dist.broadcast(length, src=0)
        packed = _bytes(data, int(length), self.device)
        dist.broadcast(packed, src=0)
        return json.loads(bytes(packed.tolist()))

    def join_lists(self, values: Sequence[Any]) -> list[Any]:
        """The lists of all processes, one after the other; of anything that JSON holds."""
        if self.size == 1:
            return list(values)
        data = json.dumps(list(values)).encode()
        packed = self.join(_bytes(data, len(data), self.device))
        # Lists one after the other: "][" stands in no JSON text outside a string.
        decoder, text, place, joined = json.JSONDecoder(), bytes(packed.tolist()).decode(), 0, []
        while place < len(text):
            part, place = decoder.raw_decode(text, place)
            joined += part
        return joined

    def join(self, tensor_N: Tensor) -> Tensor:
        """The tensors of all processes, one after the other along the first axis."""
        if self.size == 1:
            return tensor_N
        lengths = [torch.zeros(1, dtype=torch.long, device=self.device) for _ in range(self.size)]
        dist.all_gather(lengths, torch.tensor([len(tensor_N)], device=self.device))
        longest = max(int(length) for length in lengths)
        padded = tensor_N.new_zeros((longest, *tensor_N.shape[1:]))
        padded[: len(tensor_N)] = tensor_N
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(parts, padded)
        return torch.cat([part[: int(n)] for part, n in zip(parts, lengths, strict=True)])

    def add_up(self, tensors: Iterable[Tensor]) -> None:
        """Puts the sum over all processes in place of each tensor."""
        if self.size > 1:
            for tensor in tensors:
                dist.all_reduce(tensor)

    def set_apart(self, generator: torch.Generator) -> torch.Generator:
        """The generator, from here on with random numbers that no other process has."""
        if self.is_first:
            return generator
        return generator.manual_seed(
            (generator.initial_seed() + self.number * _SEED_STRIDE) % 2**63
        )


ALONE: Final = Ranks()


def exchange_device() -> str:
    """Where processes exchange tensors here: on their GPUs by NCCL, else on the CPU by gloo."""
    return "cuda" if choose_device().type == "cuda" else "cpu"


@contextmanager
def joined(number: int, size: int, meeting: Path, device: str) -> Iterator[Ranks]:
    """This process as one of ``size``, which find each other by the file ``meeting``.

    They talk on this machine's loopback only.
    """
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        os.environ.setdefault(name, "lo0" if sys.platform == "darwin" else "lo")
    dist.init_process_group(
        "nccl" if device == "cuda" else "gloo",
        init_method=meeting.absolute().as_uri(),
        rank=number,
        world_size=size,
        timeout=_PATIENCE,
    )
    try:
        yield Ranks(number, size, device)
    finally:
        dist.destroy_process_group()


def _bytes(data: bytes, length: int, device: str) -> Tensor:
    packed = torch.zeros(length, dtype=torch.uint8)
    if data:
        packed[:] = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    return packed.to(device)
