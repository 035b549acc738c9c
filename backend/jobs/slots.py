"""The places where runs work: one a GPU, and one of the CPU; who may work where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from backend.errors import ConfigError
from backend.models.hardware import visible_gpus
from backend.settings import Settings, names_in

CPU: Final = "cpu"
GPU: Final = "gpu"
# Beside GPUs the CPU's slot is for what never uses them; a merge is done in fp32 on the CPU.
ON_CPU: Final = ("export",)
ON_GPU: Final = ("train", "premise", "evaluate", "replay")

# Kinds of slots, and the kinds of runs that may take them; None is any.
Offer = tuple[tuple[str, ...] | None, tuple[str, ...] | None]


def slot_names(settings: Settings) -> tuple[str, ...]:
    """The lab's slots: those of the settings, else as many GPUs as torch can use, and the CPU.

    Raises ConfigError for settings that name no slots.
    """
    named = names_in(settings.slots)
    for name in named:
        kind, _, number = name.partition(":")
        if kind not in (CPU, GPU) or not number.isdecimal():
            raise ConfigError(
                f'SDLAB_SLOTS names "{name}", which is no slot',
                where="environment",
                remedy="name slots as in gpu:0,gpu:1,cpu:0, or unset it",
            )
    found = [f"{GPU}:{place}" for place in range(len(visible_gpus()))]
    return named or (*found, f"{CPU}:0")


def offers(names: Sequence[str]) -> tuple[Offer, ...]:
    """Which slots are offered to which runs."""
    if {name.partition(":")[0] for name in names} != {CPU, GPU}:
        return ((None, None),)
    return ((GPU,), ON_GPU), ((CPU,), ON_CPU)


def device_environment(slot: str | None, gpus: Sequence[str]) -> Mapping[str, str]:
    """Variables by which a worker sees the GPUs of its slots alone; they must be set before torch.

    ``slot`` names one or, with commas between, several. ``gpus`` are the names that CUDA has for
    this process's GPUs; without any, nothing is hidden.
    """
    names = [name.partition(":") for name in (slot or "").split(",")]
    places = [int(number) for kind, _, number in names if kind == GPU]
    if places:
        seen = [gpus[place] if place < len(gpus) else str(place) for place in places]
        return {"CUDA_VISIBLE_DEVICES": ",".join(seen)}
    return {"CUDA_VISIBLE_DEVICES": ""} if gpus else {}


def most_devices(settings: Settings) -> int:
    """How many devices a training run can have at the same time."""
    kinds = [name.partition(":")[0] for name in slot_names(settings)]
    return kinds.count(GPU) or kinds.count(CPU)
