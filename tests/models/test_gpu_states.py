"""What nvidia-smi tells of the GPUs, and that it may tell nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.models.gpu_states import GpuState, gpu_states, parse_states


def test_states_are_read_line_by_line() -> None:
    listing = "0, 97, 70123, 81559, 64\n1, [N/A], 0, 81559, [N/A]\nNo devices were found\n"
    assert parse_states(listing) == [
        GpuState(0, 97, 70123, 81559, 64),
        GpuState(1, None, 0, 81559, None),
    ]


def test_without_a_driver_there_are_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu_states() == ()
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nexit 9\n")
    program.chmod(0o755)
    assert gpu_states() == ()
