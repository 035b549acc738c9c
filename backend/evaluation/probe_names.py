"""The names of probes, as configurations use them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from backend.errors import ConfigError

PRIOR: Final = ("prior:facts", "prior:instructions", "prior:kl")


def expand(names: Sequence[str]) -> list[str]:
    """Probe names with ``prior`` taken apart; repeated ones once. Raises ConfigError."""
    expanded: list[str] = []
    for name in names:
        if name == "prior":
            expanded += PRIOR
        elif name == "task" or name in PRIOR or (name.startswith("task:") and name != "task:"):
            expanded.append(name)
        else:
            raise ConfigError(
                f'there is no probe "{name}"',
                where="evaluate.probes",
                remedy="choose task, task:NAME, prior, prior:facts, prior:instructions or prior:kl",
            )
    return list(dict.fromkeys(expanded))
