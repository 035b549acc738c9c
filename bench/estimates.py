"""What launch says that a run takes of memory, against what its worker then took at the most.

    python -m bench.estimates [--only NAME ...] [--json FILE]

Five shapes of short runs, each by the command line in a lab of its own; two are scored on the
prior probes, too. The peak is the kernel's own figure of the worker's process.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psutil

from backend.bootstrap import build_lab
from backend.bundled import material_path
from backend.config import DEFAULT_MODEL, RunConfig
from backend.models.materialise import local_folder
from backend.settings import Settings
from bench.machine import machine_document, save

TARGET: Final = 0.15
_STEPS: Final = 3
_LOOK_S: Final = 0.05
_COMMON: Final = ("evaluate.limit=32", "evaluate.premise=false", "traces.every=2")
_TASK: Final = "evaluate.probes=[task]"
SHAPES: Final[Mapping[str, tuple[str, ...]]] = {
    "sft, 8 rows": ("sft/small-model",),
    "sft, 64 rows": ("sft/small-model", _TASK, "batch_size=64"),
    "sdft, 8 rows": ("sdft/small-model",),
    "sdft, 32 rows of 128": ("sdft/paper", _TASK, "batch_size=32", "rollout.max_new_tokens=128"),
    "sdft, 8 x 4 rows of 64": ("sdft/paper", _TASK, "batch_size=8", "rollout.per_prompt=4",
                               "rollout.max_new_tokens=64"),
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Prints each shape's estimate and peak; 1 where one is off by more than the target."""
    parser = argparse.ArgumentParser(prog="python -m bench.estimates")
    parser.add_argument("--only", nargs="*", default=list(SHAPES))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    machine = machine_document(("torch", "transformers", "peft"))
    model = local_folder(DEFAULT_MODEL, Settings().home)
    found = {name: _measured(SHAPES[name], model) for name in options.only}
    for name, each in found.items():
        print(f"{name}: {each['estimate_mib']:,.0f} MiB said, {each['peak_mib']:,.0f} taken, "
              f"{each['off']:+.0%}")  # fmt: skip
    missed = any(abs(each["off"]) > TARGET for each in found.values())
    save(options.json, {"shapes": found, "target": TARGET, "missed": missed, "machine": machine})
    return int(missed)


def _measured(shape: Sequence[str], model: Path) -> dict[str, Any]:
    method, *settings = shape
    task = material_path("tasks/home-commands.training.jsonl")
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "SDLAB_HOME": home}
        _sdlab(environment, "task", "add", str(task), "--name", "home")
        sets = [part for each in (*_COMMON, *settings) for part in ("--set", each)]
        words = ["--task=home", f"--method={method}", f"--model={model}", f"--steps={_STEPS}"]
        peak_mib, run = _watched(environment, "train", *words, "--wait", *sets)
        if run["state"] != "done":
            raise SystemExit(f"the run of {shape} is {run['state']}: {run['error']}")
        lab = build_lab(Settings(home=Path(home)))
        estimate = lab.estimate(RunConfig.model_validate(run["config"]))
        lab.close()
    parts = {k: round(v, 1) for k, v in estimate["by_part"].items() if k.endswith("_mib")}
    said = float(estimate["peak_memory_mib"])
    return {"estimate_mib": said, "peak_mib": peak_mib, "off": said / peak_mib - 1, "parts": parts}


def _sdlab(environment: Mapping[str, str], *words: str) -> None:
    subprocess.run([sys.executable, "-m", "sdlab", *words], env=environment, check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip


def _watched(environment: Mapping[str, str], *words: str) -> tuple[float, dict[str, Any]]:
    """The highest peak in MiB of any process that the command started, and its document."""
    with tempfile.TemporaryFile("w+") as out:
        command = [sys.executable, "-m", "sdlab", *words, "--json"]
        started = subprocess.Popen(command, env=environment, stdout=out, text=True)
        peak_mib = 0.0
        while started.poll() is None:
            with suppress(psutil.Error, OSError, AttributeError):
                for child in psutil.Process(started.pid).children(recursive=True):
                    peak_mib = max(peak_mib, _peak_mib(child.pid))
            time.sleep(_LOOK_S)
        out.seek(0)
        document: dict[str, Any] = json.load(out)
    return peak_mib, document


def _peak_mib(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text("utf-8")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found.group(1)) / 1024 if found else 0.0


if __name__ == "__main__":
    sys.exit(main())
