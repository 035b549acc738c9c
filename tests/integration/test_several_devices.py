"""One run on two devices, pretended on the CPU: the run of one device, killed and resumed."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from backend.bootstrap import build_lab
from backend.errors import ConfigError, StateError
from backend.jobs.launchers import LAUNCHERS
from backend.lab import Lab
from backend.settings import Settings
from storage.claims import Claims
from storage.metrics import Metrics
from storage.runs import Runs
from tests.lab.tiny_tasks import rows, write_rows

STEPS = 24


def config(model: Path, **changes: Any) -> dict[str, Any]:
    return {
        "task": "lights", "method": "sft", "model": str(model), "steps": STEPS, "batch_size": 3,
        "checkpoint_every": 6, "traces": {"every": 12, "watched": 1, "sampled": 3},
        "evaluate": {"probes": ["task"], "max_new_tokens": 2, "premise": False},
        **changes,
    }  # fmt: skip


@pytest.fixture
def labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One lab, once with workers and two slots, and once with jobs in this process."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    settings = Settings(home=tmp_path / "home", threads=2, slots="cpu:0,cpu:1", beat_s=0.2)
    labs = [build_lab(settings, LAUNCHERS[name]) for name in ("local", "inline")]
    labs[0].add_task(write_rows(tmp_path / "lights.jsonl", rows(10)), "lights", held_out="2")
    yield labs
    for lab in labs:
        lab.close()


def kill_one_and_wait(lab: Lab, run_id: str) -> list[int]:
    """Supervises the run to its end, and kills its second process after the first checkpoint."""
    processes: list[int] = []

    def ended() -> bool:
        run = lab.run(run_id)
        if run["checkpoints"] and not processes:
            held = [slot.run_id for slot in Claims(lab.database).slots()]
            assert held == [run_id, run_id]
            worker = Runs(lab.database).get(run_id).pid
            (other,) = psutil.Process(worker).children()
            processes.extend([worker, other.pid])
            os.kill(other.pid, signal.SIGKILL)
        return run["state"] in ("done", "failed", "lost")

    lab.supervise("", ended)
    return processes


def test_a_run_on_two_devices_is_that_of_one_also_when_one_of_them_is_killed(
    labs: list[Lab], tiny_folder: Path
) -> None:
    lab, inline = labs
    (run_id,) = lab.train(lab.configure(config(tiny_folder, devices=2)))
    processes = kill_one_and_wait(lab, run_id)
    run = lab.run(run_id)
    assert (run["state"], run["attempt"]) == ("done", 2), run["error"]
    told = [event["message"] for event in run["events"]]
    assert any("one of the processes" in message and "queued again" in message for message in told)
    assert any(message.startswith("resumed from the checkpoint") for message in told)
    assert processes
    assert not any(psutil.pid_exists(pid) for pid in processes)
    assert list((lab.settings.home / "runs" / run_id).glob(".*")) == []

    (alone,) = inline.wait(inline.train(inline.configure(config(tiny_folder))))
    assert alone["state"] == "done", alone["error"]
    metrics = Metrics(lab.database)
    for key in ("loss", "grad_norm", "entropy", "completion_tokens"):
        ours, theirs = metrics.series(run_id, key), metrics.series(alone["id"], key)
        assert [step for step, _ in ours] == list(range(1, STEPS + 1))
        for (_, together), (_, single) in zip(ours, theirs, strict=True):
            assert together == pytest.approx(single, rel=1e-3, abs=1e-4), key
        assert ours[0][1] == pytest.approx(theirs[0][1], rel=1e-5)
    assert len(lab.traces(run_id, STEPS)) == len(lab.traces(alone["id"], STEPS)) == 4

    with pytest.raises(StateError, match="2 devices"):
        lab.replay(run_id, 3)
    with pytest.raises(ConfigError, match="wants 3 devices, and this lab has 2"):
        lab.configure(config(tiny_folder, devices=3))
