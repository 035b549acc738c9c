"""Whether a base can be held in four bits here: a GPU, and the package that does it. No torch."""

from __future__ import annotations

import importlib.util
from typing import Final

from backend.errors import ConfigError
from backend.models.hardware import HardwareProfile

PACKAGE: Final = "bitsandbytes"
# NF4 with its scales, these quantized once more: 4.127 bits (QLoRA, arXiv 2305.14314, section 3).
BYTES_PER_WEIGHT: Final = 0.516


def check_four_bit(profile: HardwareProfile, package: str = PACKAGE) -> None:
    """Raises ConfigError with what is missing here."""
    if not profile.is_gpu:
        raise ConfigError(
            f"a base in 4 bits needs a GPU, and this machine ({profile.device}) has none that "
            "torch can use",
            where="adapter.four_bit",
            remedy="leave it out, or train on a machine with a GPU",
        )
    if importlib.util.find_spec(package) is None:
        raise ConfigError(
            f"a base in 4 bits needs the package {package}, which is not installed",
            where="adapter.four_bit",
            remedy='run: python -m pip install "sdlab[4bit]"',
        )
