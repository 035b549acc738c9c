"""What ``sdlab demo`` runs: the same task by SFT, twice, and by self-distillation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from backend.config import DEFAULT_MODEL

TASK: Final = "tickets"
OTHERS: Final = ("home-commands", "house-style")
PRIOR: Final = ("prior:facts", "prior:instructions", "prior:kl")


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
    demonstration_share: Any,
    caveat: str = "",
) -> Plan:
    common = {"task": TASK, "model": DEFAULT_MODEL, "seed": 0, "batch_size": 8, **shared}
    return Plan(
        introduction,
        {"task": TASK, "model": DEFAULT_MODEL, **premise},
        (
            {**common, "method": "sft/small-model", "name": "sft careful"},
            {**common, "method": "sft/careless", "name": "sft careless"},
            {
                **common,
                "method": "sdft/small-model",
                "name": "sdft",
                "rollout": {"source": {"demonstration": demonstration_share, "student": "rest"}},
            },
        ),
        caveat,
    )


FULL: Final = _plan(
    "The demo teaches SmolLM2-135M-Instruct to label support tickets, by supervised fine-tuning "
    "(SFT) at two learning rates and by self-distillation (SDFT), and measures what each run "
    "learned and forgot.",
    {"context": "auto", "limit": 12, "max_new_tokens": 24},
    {
        "steps": 36,
        "evaluate": {
            "every": 12,
            "along": ["task", "prior:facts"],
            "along_limit": 32,
            "limit": 64,
            "other_limit": 8,
            "max_new_tokens": 33,
            "probes": ["task", *(f"task:{name}" for name in OTHERS), *PRIOR],
        },
        "traces": {"every": 12, "watched": 3, "sampled": 4},
        "checkpoint_every": 12,
    },
    {"from": 1, "to": 0, "over": 36},
)

QUICK: Final = _plan(
    "The quick demo shows the loop, not the effect: a few steps, and scores on a few items.",
    {"context": "earlier-turn-twice", "limit": 8, "max_new_tokens": 20},
    {
        "steps": 2,
        "batch_size": 4,
        "evaluate": {
            "every": 1,
            "along": ["task"],
            "along_limit": 4,
            "limit": 8,
            "facts_limit": 16,
            "max_new_tokens": 18,
            "premise": False,
            "probes": ["task", "prior:facts"],
        },
        "traces": {"every": 2, "watched": 1, "sampled": 1},
        "checkpoint_every": 2,
    },
    0.5,
    "This was the quick demo: it shows the loop, not the effect. For that, run: sdlab demo",
)
