"""What tests of all layers share: one torch thread, and a tiny model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest


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
