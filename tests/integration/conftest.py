"""One loop with real workers, from a file to two adapters, that several tests look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backend.bootstrap import build_lab
from backend.jobs.launchers import LAUNCHERS
from backend.lab import Lab
from backend.settings import Settings
from tests.cli.command import Command
from tests.lab.tiny_tasks import rows, write_rows

STEPS = 16
BATCH = 4
CANARY = "xylophon"
# Every step is traced with all of its rows, so that the traces tell what was trained on; and each
# trace takes the metrics along into the database, where a test can wait for them.
SETTINGS = (
    f"steps={STEPS}", f"batch_size={BATCH}", "checkpoint_every=4", "max_new_tokens=8",
    "evaluate.every=8", "evaluate.limit=6", "evaluate.along_limit=4", "evaluate.max_new_tokens=6",
    "evaluate.probes=[task, 'prior:instructions']", "evaluate.along=[task, 'prior:instructions']",
    "traces.every=1", "traces.watched=2", f"traces.sampled={BATCH}",
    "optimizer.learning_rate=0.01", "optimizer.warmup_steps=0",
)  # fmt: skip


@dataclass(frozen=True)
class Loop:
    """What the commands of the loop printed; ``lab`` is the same lab, with jobs in this process."""

    command: Command
    lab: Lab
    added: Any
    premise: Any
    sdft: Any
    sft: Any
    told: str


def train_options(model: Path, *settings: str) -> list[Any]:
    """Options of a run like the loop's; later settings win."""
    chosen = [part for setting in (*SETTINGS, *settings) for part in ("--set", setting)]
    # A random model cannot use a demonstration: its premise is no-go.
    named = ["--task", "lights", "--method", "sdft", "--model", model, "--seed", 7, "--anyway"]
    return [*named, *chosen]


@pytest.fixture(scope="session")
def loop(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    folder = tmp_path_factory.mktemp("loop")
    command = Command(folder / "home")
    held_out = [
        {
            "id": f"{CANARY}-{i}",
            "prompt": f"{CANARY} {i}: which light",
            "answer": f"{CANARY}.on({i})",
        }
        for i in range(6)
    ]
    # One row's prompt is held out, so it may not be trained on either.
    leak = {"id": "leak", "prompt": f"{CANARY} 0: which light", "answer": f"the {CANARY}"}
    file = write_rows(folder / "lights.jsonl", [*rows(18), leak])
    apart = write_rows(folder / "apart.jsonl", held_out)
    added = command("task", "add", file, "--name", "lights", "--held-out", apart).done()
    premise = command("premise", "lights", "--model", tiny_folder, "--limit", 4, "--wait")
    trained = command("train", *train_options(tiny_folder), "--baseline", "sft", "--wait")
    sdft, sft = trained.done()
    lab = build_lab(Settings(home=command.home, threads=1), LAUNCHERS["inline"])
    yield Loop(command, lab, added, premise.done(), sdft, sft, premise.err + trained.err)
    lab.close()
