"""What a worker takes of its machine is sampled with its beat, and stored as curves."""

import subprocess
import sys

import pytest

from backend.jobs.usage import KEYS, MOST, Usage
from backend.views.workers import worker_document
from storage.metrics import Metrics
from storage.runs import Runs

# As nvidia-ml-py answers for two cards, and for a driver that is away.
NVML = """
from types import SimpleNamespace as N
NVML_TEMPERATURE_GPU = 0
class NVMLError(Exception): pass
lost = False
def nvmlInit(): pass
def nvmlDeviceGetHandleByIndex(index): return index
def nvmlDeviceGetHandleByUUID(name): return {"GPU-8f1c": 1}[name]
def nvmlDeviceGetMemoryInfo(card):
    if lost: raise NVMLError("GPU is lost")
    return N(used=(card + 1) << 30)
def nvmlDeviceGetUtilizationRates(card): return N(gpu=40 * card)
def nvmlDeviceGetTemperature(card, kind): return 50 + card
"""


@pytest.fixture
def nvml(tmp_path, monkeypatch):
    (tmp_path / "pynvml.py").write_text(NVML)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("pynvml", None)


def test_a_process_and_its_children_are_sampled_together():
    usage = Usage()
    before = usage.sample()
    code = "x = b'1' * (64 << 20); print(1, flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    child.stdout.readline()
    during = usage.sample()
    child.communicate(b"\n")
    after = usage.sample()
    assert during["memory_mib"] > before["memory_mib"] + 60
    assert after["memory_mib"] < during["memory_mib"]
    assert after["memory_most_mib"] == during["memory_mib"]
    assert after["cpu_percent"] >= 0


def test_gpus_are_told_where_nvml_is(nvml, monkeypatch, caplog):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,GPU-8f1c")
    usage = Usage()
    values = usage.sample()
    assert values.keys() == {*KEYS, *MOST.values()}
    told = [values[key] for key in ("gpu_memory_mib", "gpu_percent", "gpu_celsius")]
    assert told == [3 * 1024, 20, 51]
    monkeypatch.setattr(sys.modules["pynvml"], "lost", True)
    assert "gpu_percent" not in usage.sample()
    assert "GPU is lost" in caplog.text


def test_without_a_gpu_or_without_nvml_there_is_the_rest(monkeypatch):
    for chosen in ("", "0"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
        assert Usage().sample().keys() == {"memory_mib", "cpu_percent", "memory_most_mib"}


def test_a_workers_use_is_a_curve_and_stands_on_its_page(database, supervisor, add_run, wait_for):
    run = add_run(steps=3, hang_at=3)
    wait_for(run.id, until=lambda run: "memory_mib" in Metrics(database).keys(run.id) and run.step)
    use = worker_document(database, run.id)["use"]
    assert 10 < use["memory_mib"] <= use["memory_most_mib"]
    assert use["gpu_percent"] is None
    Runs(database).request_stop(run.id)
    wait_for(run.id, "cancelled")
    use = worker_document(database, run.id)["use"]
    assert use["memory_mib"] is None, "it takes nothing any more"
    assert use["memory_most_mib"] > 10
