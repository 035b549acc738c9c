"""Waiting: every phase is told, also one that was over before anybody looked."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from app.cli.waiting import Teller


def test_a_phase_that_is_over_already_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    run = SimpleNamespace(
        id="a", name="x", kind="train", phase="training", state="running",
        step=3, total_steps=9, eta_s=None,
    )  # fmt: skip
    teller = Teller()
    teller(run, [("loading the model", 0), ("evaluating", 0), ("training", 1)])
    teller(run, [])
    assert capsys.readouterr().err.splitlines() == [
        "  x: loading the model step 0/9",
        "  x: evaluating step 0/9",
        "  x: training step 1/9",
        "  x: training step 3/9",
    ]
