"""What a worker's process gets: its environment, and memory that stays."""

import subprocess
import sys

import pytest

from backend.jobs.launchers import LAUNCHERS, worker_environment
from backend.settings import Settings

MAPPED_BYTES = """
import ctypes
class Mallinfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
        "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]
mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Mallinfo2
large = bytearray(256 * 2**20)
print(mallinfo2().hblkhd)
"""


def _mapped_bytes(environment):
    done = subprocess.run(
        [sys.executable, "-c", MAPPED_BYTES],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def test_the_settings_arrive_at_the_worker(tmp_path, monkeypatch):
    settings = Settings(home=tmp_path, database_url="postgresql://x", beat_s=0.25, threads=3)
    environment = worker_environment(settings, {"HF_HUB_OFFLINE": "1", "SDLAB_BEAT_S": "9"})

    assert environment["HF_HUB_OFFLINE"] == "1"
    assert environment["TOKENIZERS_PARALLELISM"] == "false"
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


@pytest.mark.parametrize(("own", "expected"), [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7")])
def test_threads_wait_awake_for_as_long_as_the_user_says(tmp_path, own, expected):
    environment = worker_environment(Settings(home=tmp_path), own)
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
    assert environment["GOMP_SPINCOUNT"] == expected


def test_glibc_keeps_large_freed_blocks_in_a_worker(tmp_path):
    assert _mapped_bytes({}) > 2**28, "without, each large block is a mapping of its own"
    assert _mapped_bytes(worker_environment(Settings(home=tmp_path), {})) == 0


def test_the_launchers_have_names():
    assert set(LAUNCHERS) == {"local", "inline"}
