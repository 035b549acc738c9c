"""A temporary lab with a tokenizer's folder that stands for a model; nothing is trained here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.bootstrap import build_lab
from backend.config import Settings
from backend.lab import Lab
from tests.tiny_tokenizer import build_tokenizer

READS = 96


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = build_lab(Settings(home=tmp_path / "home"))
    yield lab
    lab.close()


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A folder that a prompt can be read with: a tokenizer, and a model that reads 96 tokens."""
    folder = build_tokenizer(tmp_path / "model")
    config = {"max_position_embeddings": READS, "model_type": "llama"}
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)
