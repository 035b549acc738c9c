"""Waiting: what goes first is told, and every phase, also one that was over already."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.cli.waiting import Teller, queue_words, wait_for
from backend.bootstrap import build_lab
from backend.jobs.launchers import LAUNCHERS
from backend.settings import Settings
from tests.cli.command import Outcome


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


def test_what_goes_first_is_told_before_the_wait(
    call: Callable[..., Outcome],
    with_task: str,
    home: Path,
    tiny_folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As after a demo that was interrupted: its runs stay in the queue."""
    with closing(build_lab(Settings(home=home, threads=1), LAUNCHERS["inline"])) as lab:
        check = {"task": with_task, "model": str(tiny_folder), "max_new_tokens": 2, "limit": 2,
                 "context": "earlier-turn"}  # fmt: skip
        earlier, ours = lab.premise(check), lab.premise(check)
        assert wait_for(lab, [ours])[0]["state"] == "done"
        first, *_ = capsys.readouterr().err.splitlines()
        assert first == (
            f"  1 job goes first: lights · premise ({earlier[:8]}); see sdlab queue, or end one "
            "with: sdlab stop RUN"
        )
        alone = lab.premise(check)
        wait_for(lab, [alone])
        assert "first" not in capsys.readouterr().err


def test_a_paused_queue_is_told_before_the_wait(
    call: Callable[..., Outcome], with_task: str, home: Path, tiny_folder: Path
) -> None:
    queued = call("premise", with_task, "--model", tiny_folder, "--json").done()
    call("queue", "pause", "--json").done()
    with closing(build_lab(Settings(home=home))) as lab:
        (told,) = queue_words(lab.queue.document(), [queued["id"]])
        assert told == "  the queue is paused: nothing begins before: sdlab queue resume"
        assert list(queue_words(lab.queue.document(), ["another"])) == []
