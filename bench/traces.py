"""Times training steps with and without recorded traces, in turns on the same rows.

    python -m bench.traces [--pairs 9] [--json FILE]

The traces are those that the demo keeps of a step: four rollouts, written into a lab's database.
Both steps of a pair have the same random numbers, and weights that hardly move, so that they write
the same rollouts. A figure is the median of the pairs' ratios. What watching held-out rows costs,
which the demo does at the same steps, is told without a target.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from backend.bootstrap import build_lab
from backend.config import DEFAULT_MODEL
from backend.data.demonstration import Demonstration
from backend.demo_plans import FULL
from backend.jobs.recorder import StoredRecorder
from backend.jobs.tasks import demonstrations, find_task
from backend.lab import Lab
from backend.methods import resolve
from backend.models.compute import choose_compute
from backend.models.language_model import LanguageModel, load_model
from backend.models.materialise import local_folder
from backend.settings import Settings
from backend.training.loop import make_trainer
from backend.training.observations import observe
from backend.training.recorder import Recorder
from backend.training.step import training_step
from backend.training.tracing import base_answers, traces_of_step, watch
from backend.training.trainer import Trainer
from bench.machine import machine_document, save
from bench.spread import median_and_spread
from storage.claims import Claims

TARGET: Final = 1.05
TRACES: Final = FULL.runs[0]["traces"]
# Weights that stay let both steps of a pair write the same.
STILL: Final = {"learning_rate": 1e-12, "schedule": "constant", "warmup_steps": 0}
_PACKAGES: Final = ("torch", "transformers", "peft", "sqlalchemy")


@dataclass(frozen=True)
class Work:
    """A trainer, the rows of its steps, those that are watched, and where traces are written."""

    trainer: Trainer
    rows: Sequence[Demonstration]
    watched: Sequence[Demonstration]
    recorder: Recorder


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the ratios; 1 where the target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.traces")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    machine = machine_document(_PACKAGES)
    folder = local_folder(DEFAULT_MODEL, Settings().home)
    results = []
    with tempfile.TemporaryDirectory() as home:
        lab = build_lab(Settings(home=Path(home)))
        lab.add_bundled_tasks()
        Claims(lab.database).ensure_slots(["cpu:0", "cpu:1"])
        for plan in (FULL.runs[0], FULL.runs[-1]):
            model = load_model(DEFAULT_MODEL, folder, choose_compute(options.threads))
            work = _work(lab, model, Settings(home=Path(home)), plan)
            results.append(_compared(str(plan["name"]), work, options.pairs))
        lab.close()
    document = {"results": results, "threads": torch.get_num_threads(), "machine": machine}
    save(options.json, document)
    return int(any(result["missed"] for result in results))


def _work(lab: Lab, model: LanguageModel, settings: Settings, plan: Mapping[str, Any]) -> Work:
    """A run of the demo as a worker has it, that writes all of a step's rows itself, if it can."""
    changed = {**plan, "optimizer": STILL}
    if "rollout" in plan:
        changed["rollout"] = {"source": "student"}
    lab.train(lab.configure(changed), None)
    run = Claims(lab.database).claim("bench")
    assert run is not None
    recorder = StoredRecorder(lab.database, run.id, "bench", run.attempt, settings, run.config)
    version = find_task(lab.database, str(plan["task"])).version.id
    rows = demonstrations(lab.database, version, "training", int(plan["batch_size"]))
    watched = demonstrations(lab.database, version, "held_out", TRACES["watched"])
    return Work(make_trainer(model, resolve(changed), None), rows, watched, recorder)


def _compared(name: str, work: Work, pairs: int) -> dict[str, Any]:
    seconds: dict[bool, list[float]] = {True: [], False: []}
    tracing: list[float] = []
    for pair in range(pairs + 1):
        for is_traced in (True, False) if pair % 2 else (False, True):
            took_s, traced_s = _step(work, pair, is_traced)
            if pair:  # The first warms both up.
                seconds[is_traced].append(took_s)
                tracing += [traced_s] * is_traced
    ratios = [one / other for one, other in zip(seconds[True], seconds[False], strict=True)]
    ratio, (low, high) = median_and_spread(ratios)
    watching_s = _watching(work, pairs + 1)
    print(
        f"{name}: {statistics.median(seconds[False]):.2f} s a step, ratio with traces {ratio:.3f} "
        f"({low:.3f} to {high:.3f}), target {TARGET}; "
        f"traces {1000 * statistics.median(tracing):.0f} ms, "
        f"watching {len(work.watched)} rows {watching_s:.2f} s",
        flush=True,
    )
    return {
        "run": name,
        "step_s": seconds[False],
        "traced_step_s": seconds[True],
        "tracing_s": tracing,
        "watching_s": watching_s,
        "ratio": ratio,
        "spread": [low, high],
        "target": TARGET,
        "missed": ratio > TARGET,
    }


def _step(work: Work, step: int, is_traced: bool) -> tuple[float, float]:
    """Seconds of a step as the loop makes it, and of its traces alone."""
    began_s = time.perf_counter()
    report = training_step(work.trainer, work.rows, step)
    work.recorder.metrics(step + 1, observe(work.trainer, report))
    ended_s = time.perf_counter()
    if is_traced:
        for trace in traces_of_step(work.trainer, report, step + 1, TRACES["sampled"]):
            work.recorder.trace(trace)
    now_s = time.perf_counter()
    return now_s - began_s, now_s - ended_s


def _watching(work: Work, step: int) -> float:
    """Seconds of a look at the watched rows; the base's answers are written once a run."""
    base = base_answers(work.trainer, work.watched)
    began_s = time.perf_counter()
    for trace in watch(work.trainer, work.watched, step, base).traces:
        work.recorder.trace(trace)
    return time.perf_counter() - began_s


if __name__ == "__main__":
    sys.exit(main())
