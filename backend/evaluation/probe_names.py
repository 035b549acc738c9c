"""The names of probes, as configurations use them."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Final

from backend.errors import ConfigError

PRIOR: Final = ("prior:facts", "prior:instructions", "prior:kl")
BENCHMARK: Final = "lm-eval:"
# The metric of prior:kl: a mean of nats, where all others are shares.
KL_METRIC: Final = "kl_nats"


def task_probe(task: str) -> str:
    """The probe that scores a task, which may be named with its version."""
    return f"task:{task.partition('@')[0]}"


def expand(names: Sequence[str]) -> list[str]:
    """Probe names with ``prior`` taken apart; repeated ones once. Raises ConfigError."""
    expanded: list[str] = []
    for name in names:
        if name == "prior":
            expanded += PRIOR
        elif name == "task" or name in PRIOR or (name.startswith("task:") and name != "task:"):
            expanded.append(name)
        elif name.startswith(BENCHMARK):
            split_benchmark(name)
            check_benchmarks(name)
            expanded.append(name)
        else:
            raise ConfigError(
                f'there is no probe "{name}"',
                where="evaluate.probes",
                remedy="choose task, task:NAME, prior, prior:facts, prior:instructions, prior:kl, "
                "or lm-eval:TASK:METRIC",
            )
    return list(dict.fromkeys(expanded))


def split_benchmark(name: str) -> tuple[str, str]:
    """Task and metric of ``lm-eval:TASK:METRIC``; the metric as lm-eval's key. Raises ConfigError.

    The key of a metric names its filter, which most benchmarks do not have: ``acc`` is
    ``acc,none``.
    """
    task, _, metric = name.removeprefix(BENCHMARK).rpartition(":")
    if not task or not metric:
        raise ConfigError(
            f'"{name}" names no benchmark and metric',
            where="evaluate.probes",
            remedy="write lm-eval:TASK:METRIC, such as lm-eval:hellaswag:acc_norm",
        )
    return task, metric if "," in metric else f"{metric},none"


def check_benchmarks(name: str) -> None:
    """Raises ConfigError where the package that runs benchmarks is not installed."""
    if importlib.util.find_spec("lm_eval") is None:
        raise ConfigError(
            f"{name} needs the package lm-eval, which is not installed",
            where="evaluate.probes",
            remedy='run: python -m pip install "sdlab[benchmarks]"',
        )
