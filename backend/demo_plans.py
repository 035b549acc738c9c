"""What ``sdlab demo`` runs: the same task by SFT, twice, and by self-distillation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from backend.config import DEFAULT_MODEL

TASK: Final = "home-commands"
OTHERS: Final = ("tickets", "house-style")


@dataclass(frozen=True)
class Plan:
    """A premise check and the runs after it, in this order; all share data order and seed."""

    introduction: str
    premise: Mapping[str, Any]
    runs: tuple[Mapping[str, Any], ...]
    caveat: str = ""


def _plan(
    introduction: str,
    premise: Mapping[str, Any],
    shared: Mapping[str, Any],
    sdft: Mapping[str, Any],
    caveat: str = "",
) -> Plan:
    common = {"task": TASK, "model": DEFAULT_MODEL, "seed": 0, "batch_size": 8, **shared}
    return Plan(
        introduction,
        {"task": TASK, "model": DEFAULT_MODEL, **premise},
        (
            {**common, "method": "sft/small-model", "name": "sft careful"},
            {**common, "method": "sft/careless", "name": "sft careless"},
            {**common, "method": "sdft/small-model", "name": "sdft", **sdft},
        ),
        caveat,
    )


FULL: Final = _plan(
    "The demo teaches SmolLM2-135M-Instruct a small language of home commands, by supervised "
    "fine-tuning (SFT) at two learning rates and by self-distillation (SDFT), and measures what "
    "each run learned and forgot.",
    {"context": "auto", "limit": 16, "max_new_tokens": 24},
    {
        "steps": 60,
        "evaluate": {
            "every": 20,
            "along_limit": 48,
            "limit": 96,
            "max_new_tokens": 24,
            "probes": ["task", *(f"task:{name}" for name in OTHERS), "prior"],
        },
        "traces": {"every": 20, "watched": 4, "sampled": 4},
        "checkpoint_every": 20,
    },
    {},
)

QUICK: Final = _plan(
    "The quick demo shows the loop, not the effect: a few steps, and scores on a few items.",
    {"context": "earlier-turn-twice", "limit": 8, "max_new_tokens": 20},
    {
        "steps": 4,
        "evaluate": {
            "every": 2,
            "along_limit": 8,
            "limit": 8,
            "max_new_tokens": 20,
            "premise": False,
            "probes": ["task", "prior:facts"],
        },
        "traces": {"every": 2, "watched": 2, "sampled": 2},
        "checkpoint_every": 2,
    },
    {},
    "This was the quick demo: it shows the loop, not the effect. Run sdlab demo for that.",
)
