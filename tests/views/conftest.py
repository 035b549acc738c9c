"""A temporary lab with a tokenizer's folder that stands for a model; nothing is trained here."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backend.bootstrap import build_lab
from backend.jobs.launchers import LAUNCHERS
from backend.lab import Lab
from backend.settings import Settings
from tests.lab.tiny_tasks import rows, write_rows
from tests.tiny_tokenizer import build_tokenizer

READS = 96


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A lab that knows its machine's speed already: measuring it would take half a second."""
    home = tmp_path / "home"
    home.mkdir()
    speed = {"host": platform.node(), "cpus": os.cpu_count(), "matmul_gflops": 50, "read_gb_s": 10}
    measured = {**speed, "measured_at": datetime.now(UTC).isoformat()}
    (home / "hardware.json").write_text(json.dumps(measured))
    lab = build_lab(Settings(home=home), LAUNCHERS["inline"])
    yield lab
    lab.close()


@pytest.fixture
def model(tmp_path: Path) -> str:
    """What the web process reads of a model: a tokenizer, sizes, and that it reads 96 tokens."""
    folder = build_tokenizer(tmp_path / "model")
    config = {
        "max_position_embeddings": READS,
        "model_type": "llama",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "vocab_size": 340,
    }
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


@pytest.fixture
def add_task(lab: Lab, tmp_path: Path) -> Callable[..., str]:
    """Adds a task of eight rows, three of them held out; returns its name."""

    def add(name: str = "lights", count: int = 8) -> str:
        lab.add_task(write_rows(tmp_path / f"{name}.jsonl", rows(count)), name, held_out="3")
        return name

    return add
