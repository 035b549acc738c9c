"""An empty lab that tests put runs into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.bootstrap import build_lab
from backend.config import Settings
from backend.jobs.launchers import LAUNCHERS
from backend.lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = build_lab(Settings(home=tmp_path / "home"), LAUNCHERS["inline"])
    yield lab
    lab.close()
