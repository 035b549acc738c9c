"""A temporary lab whose jobs run in this process, as soon as it waits for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.bootstrap import build_lab
from backend.jobs.launchers import LAUNCHERS
from backend.lab import Lab
from backend.settings import Settings
from tests.lab.tiny_tasks import rows, write_rows

_SOURCES = {"sft": "demonstration", "dft": "demonstration", "ssd": "sampled"}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = build_lab(Settings(home=tmp_path / "home", threads=1), LAUNCHERS["inline"])
    yield lab
    lab.close()


@pytest.fixture
def add_task(lab: Lab, tmp_path: Path) -> Callable[..., str]:
    """Adds a task with these rows, the last three held out as a file; returns its name."""

    def add(name: str = "lights", *, training: list[dict[str, Any]] | None = None) -> str:
        file = write_rows(tmp_path / f"{name}.jsonl", training or rows(8))
        apart = write_rows(tmp_path / f"{name}-apart.jsonl", rows(3, first=100))
        lab.add_task(file, name, held_out=str(apart))
        return name

    return add


@pytest.fixture
def train(lab: Lab, tiny_folder: Path) -> Callable[..., Any]:
    """Trains on the tiny model here and now; the run's document, or both with a baseline."""

    def run(
        task: str, method: str = "sdft", *, baseline: str | None = None, **settings: Any
    ) -> Any:
        document = {
            "task": task,
            "method": method,
            "model": str(tiny_folder),
            "steps": 2,
            "batch_size": 2,
            "evaluate": {"probes": ["task"], "max_new_tokens": 4, "premise": False},
            "traces": {"every": 1, "watched": 1, "sampled": 2},
            "rollout": {"source": _SOURCES.get(method, "student"), "max_new_tokens": 4},
            **settings,
        }
        documents = lab.wait(lab.train(lab.configure(document, baseline=baseline)))
        return documents if baseline else documents[0]

    return run
