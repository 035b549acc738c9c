"""Peak memory of one self-distillation step over the loaded model, the lab's and TRL's.

    python -m bench.memory [--prompts 32] [--new-tokens 128] [--pairs 5] [--json FILE]

Each step is in a process of its own, with the same prompts, lengths and malloc settings; the
engines take turns. What is compared is the highest resident memory of the step less the resident
memory before it. The figure is the median of the pairs' ratios.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from backend.config import DEFAULT_MODEL
from backend.models.materialise import local_folder
from backend.settings import Settings
from bench.machine import machine_document, save
from bench.spread import median_and_spread

TARGET: Final = 0.40
_PACKAGES: Final = ("torch", "transformers", "peft", "trl")


def main(argv: Sequence[str] | None = None) -> int:
    """Prints both engines' peaks and their ratio; 1 where the target is missed."""
    options = _parse(argv)
    if options.engine:
        print(json.dumps(_one_step(options)))
        return 0
    machine = machine_document(_PACKAGES)
    work = {"prompts": options.prompts, "new_tokens": options.new_tokens}
    given = [f"--{name.replace('_', '-')}={value}" for name, value in work.items()]
    given.append(f"--threads={options.threads}")
    pairs = [
        {engine: _in_a_process(engine, given) for engine in ("lab", "trl")}
        for _ in range(options.pairs)
    ]
    ratios = [pair["lab"]["step_mib"] / pair["trl"]["step_mib"] for pair in pairs]
    ratio, spread = median_and_spread(ratios)
    for engine in ("lab", "trl"):
        taken, (low, high) = median_and_spread([pair[engine]["step_mib"] for pair in pairs])
        print(f"{engine}: {taken:,.0f} MiB ({low:,.0f} to {high:,.0f}) over the loaded model")
    print(f"ratio {ratio:.2f} ({spread[0]:.2f} to {spread[1]:.2f}), target {TARGET}")
    result = {"work": work, "pairs": pairs, "ratio": ratio, "spread": spread, "target": TARGET,
              "machine": machine}  # fmt: skip
    save(options.json, result)
    return int(ratio > TARGET)


def _in_a_process(engine: str, given: Sequence[str]) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.memory", f"--engine={engine}", *given]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _one_step(options: argparse.Namespace) -> dict[str, float]:
    from bench.engines import Between, Work, lab_step, lab_trainer, trl_trainer
    from bench.step import demonstrations

    folder = local_folder(DEFAULT_MODEL, Settings().home)
    work = Work(demonstrations(options.prompts), options.new_tokens)
    if options.engine == "lab":
        trainer = lab_trainer(folder, work, options.threads)
        loaded_mib = forget_peak()
        seconds = lab_step(trainer, work, 0)
    else:
        with tempfile.TemporaryDirectory() as out:
            between = Between(lambda step: None)
            trl: Any = trl_trainer(folder, work, 1, Path(out), [between])
            loaded_mib = forget_peak()
            trl.train()
        seconds = between.seconds[0]
    return {"loaded_mib": loaded_mib, "step_mib": mib("VmHWM") - loaded_mib, "step_s": seconds}


def forget_peak() -> float:
    """Resident MiB now, from which the kernel counts the peak on."""
    Path("/proc/self/clear_refs").write_text("5")
    return mib("VmRSS")


def mib(name: str) -> float:
    """A figure of this process as the kernel has it: ``VmRSS``, or its peak ``VmHWM``."""
    status = Path("/proc/self/status").read_text("utf-8")
    found = re.search(rf"{name}:\s+(\d+) kB", status)
    assert found is not None
    return int(found.group(1)) / 1024


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.memory")
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--engine", choices=("lab", "trl"), help=argparse.SUPPRESS)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
