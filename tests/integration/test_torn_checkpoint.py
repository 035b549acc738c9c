"""Killed while it saves, and the newest checkpoint torn: the run goes on from the one before."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from backend.bootstrap import build_lab
from backend.jobs.launchers import launch_local
from backend.jobs.work.context import run_folder
from backend.settings import Settings
from storage.metrics import Metrics
from storage.models import Run
from tests.integration.conftest import STEPS, Loop
from tests.wholeness import assert_lab_whole

HERE = Path(__file__).parent


def test_a_run_killed_as_it_saves_whose_last_checkpoint_is_torn_ends_as_if_nothing_had_happened(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{HERE.parents[1]}:{HERE}")
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    seen: list[list[str]] = []

    def launch(run: Run, settings: Settings) -> subprocess.Popen[bytes]:
        checkpoints = run_folder(settings, run.id) / "checkpoints"
        if run.attempt == 2:
            seen.append(sorted(path.name for path in checkpoints.iterdir()))
            os.truncate(checkpoints / "step-00000008" / "adapter_model.safetensors", 100)
        return launch_local(run, settings, work="dying_work")

    lab = build_lab(Settings(home=loop.command.home, threads=1, beat_s=0.2), launch)
    try:
        configs = lab.configure({**loop.sdft["config"], "name": "torn"})
        (run,) = lab.wait(lab.train(configs))
        assert (run["state"], run["attempt"], run["error"]) == ("done", 2, None)
        (files,) = seen
        whole = [name for name in files if not name.startswith(".")]
        assert whole == ["step-00000004", "step-00000008"]
        assert any("step-00000012" in name for name in files), "killed in the middle of saving"
        for key in ("loss", "grad_norm"):
            ours, theirs = (
                Metrics(lab.database).series(each["id"], key) for each in (run, loop.sdft)
            )
            assert [step for step, _ in ours] == list(range(1, STEPS + 1))
            assert ours == theirs
        told = ("its worker was killed by SIGKILL", "resumed from the checkpoint of step 4")
        assert_lab_whole(lab.database, lab.settings.home, *told)
    finally:
        lab.close()
