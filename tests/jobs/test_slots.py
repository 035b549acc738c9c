"""One slot a GPU and one of the CPU; pretended where there is none."""

import os
import time
from functools import partial

import pytest

from backend.errors import ConfigError
from backend.jobs.launchers import launch_inline
from backend.jobs.slots import device_environment, most_devices, offers, slot_names
from backend.jobs.supervisor import Supervisor
from backend.models.hardware import gpu_names
from storage.claims import Claim, Claims
from storage.runs import Runs

TWO = "NVIDIA H100, 81559, 81000\nNVIDIA H100, 81559, 81000"


def test_gpus_are_those_that_the_variable_leaves():
    assert gpu_names(TWO, None) == ["0", "1"]
    assert gpu_names(TWO, "3, GPU-8f1c") == ["3", "GPU-8f1c"]
    assert gpu_names(TWO, "") == gpu_names("", None) == []


def test_a_worker_sees_the_gpu_of_its_slot_alone():
    assert device_environment("gpu:1", ["3", "5"]) == {"CUDA_VISIBLE_DEVICES": "5"}
    assert device_environment("cpu:0", ["3", "5"]) == {"CUDA_VISIBLE_DEVICES": ""}
    assert device_environment("cpu:0", []) == {}
    assert device_environment("gpu:1", []) == {"CUDA_VISIBLE_DEVICES": "1"}, "pretended"


def test_a_worker_of_several_slots_sees_all_their_gpus():
    assert device_environment("gpu:0,gpu:2", ["3", "5", "GPU-8f1c"]) == {
        "CUDA_VISIBLE_DEVICES": "3,GPU-8f1c"
    }
    assert device_environment("cpu:0,cpu:1", []) == {}


def test_slots_come_from_the_settings_or_from_what_is_there(settings):
    assert slot_names(settings)[-1] == "cpu:0"
    named = settings.model_copy(update={"slots": "gpu:0, gpu:1"})
    assert slot_names(named) == ("gpu:0", "gpu:1")
    assert most_devices(named) == 2
    assert most_devices(settings.model_copy(update={"slots": "gpu:0,cpu:0,cpu:1"})) == 1
    with pytest.raises(ConfigError, match=r'"gpu", .* no slot'):
        slot_names(settings.model_copy(update={"slots": "gpu"}))


def test_the_cpu_beside_gpus_is_for_what_needs_none():
    assert offers(["cpu:0"]) == offers(["gpu:0", "gpu:1"]) == ((None, None),)
    gpu, cpu = offers(["gpu:0", "cpu:0"])
    assert "train" in gpu[1]
    assert "export" not in gpu[1]
    assert cpu == (("cpu",), ("export",))


def test_runs_work_side_by_side_each_on_its_gpu(database, settings, launcher, clock, add_run):
    runs = [add_run("tell_device") for _ in range(3)]
    with Supervisor(database, settings, launcher, clock, slots=("gpu:0", "gpu:1")) as supervisor:
        supervisor.acquire("")
        supervisor.tick()
        deadline = time.monotonic() + 60
        while {run.state for run in Runs(database).all()} != {"done"}:
            assert time.monotonic() < deadline
            supervisor.tick()
            time.sleep(0.02)
    claimed = [Runs(database).events(run.id)[1].message for run in runs[:2]]
    assert claimed == ["attempt 1 in slot gpu:0", "attempt 1 in slot gpu:1"]
    seen = [Runs(database).get(run.id).result for run in runs[:2]]
    assert seen == [{"device": "0"}, {"device": "1"}]
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_a_run_gets_all_its_devices_or_none(database, settings, launcher, clock, add_run):
    first, both, after = (
        add_run("tell_device", name="first"),
        add_run("tell_device", name="both", devices=2),
        add_run("tell_device", name="after"),
    )
    impossible = add_run("tell_device", name="impossible", devices=3)
    claims = Claims(database)
    claims.ensure_slots(["gpu:0", "gpu:1"])
    held = claims.claim("me")
    assert (held.name, held.slot_id) == ("first", "gpu:0")
    assert claims.claim("me") is None, "the free slot is kept for the run that needs two"
    claims.finish(Claim(first.id, "me", 1), "done")
    with Supervisor(database, settings, launcher, clock, slots=("gpu:0", "gpu:1")) as supervisor:
        supervisor.acquire("")
        supervisor.tick()
        assert [slot.run_id for slot in claims.slots()] == [both.id, both.id]
        assert Runs(database).get(after.id).state == "queued"
        deadline = time.monotonic() + 60
        while Runs(database).get(after.id).state != "done":
            assert time.monotonic() < deadline
            supervisor.tick()
            time.sleep(0.02)
    assert Runs(database).get(both.id).result == {"device": "0,1"}
    assert Runs(database).get(both.id).slot_id is None
    assert Runs(database).get(impossible.id).state == "queued", "it keeps nobody waiting"


def test_a_training_run_waits_for_a_gpu_and_an_export_does_not(database, settings, clock, add_run):
    training, export = add_run("train"), add_run("export")
    nothing = partial(launch_inline, work="sample_work")
    Claims(database).ensure_slots(["gpu:0", "cpu:0"])
    held = add_run("replay", name="held")
    Runs(database).place(held.id, training.id)
    Claims(database).claim("another", ["gpu"])
    with Supervisor(database, settings, nothing, clock, slots=("gpu:0", "cpu:0")) as supervisor:
        supervisor.acquire("")
        supervisor.tick()
    assert Runs(database).get(training.id).state == "queued"
    assert Runs(database).get(export.id).slot_id is None
    assert Runs(database).get(export.id).state == "failed", "sample_work has no exports"
