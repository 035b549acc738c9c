"""What tests of all layers share: one torch thread, and a tiny model."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import PostgresServer, postgres_server


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Spinning torch threads on busy cores run ten times slower; torch is not loaded for it."""
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Llama with its tokenizer; tests must not change it."""
    from tests.tiny_model import build_model  # Loads torch, which most tests do without.

    return build_model(tmp_path_factory.mktemp("models") / "tiny-llama")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server that hands out databases."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def bundled_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models/ folder of a lab that holds the bundled model, converted from its GGUF file."""
    from backend.config import DEFAULT_MODEL
    from backend.models.materialise import local_folder

    home = tmp_path_factory.mktemp("real")
    local_folder(DEFAULT_MODEL, home)
    return home / "models"
