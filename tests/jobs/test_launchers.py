"""What a worker's process gets: its environment, and memory that stays."""

import subprocess
import sys
from pathlib import Path

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

LARGE_PAGE_BYTES = """
import re
kept = [b"x" * 2**20 for _ in range(256)]
found = re.search(r"AnonHugePages: +([0-9]+) kB", open("/proc/self/smaps_rollup").read())
print(int(found.group(1)) * 1024)
"""
# What the kernel says of them, such as: always [madvise] never
LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def _printed(script, environment):
    """The number that a process of this environment prints."""
    done = subprocess.run(
        [sys.executable, "-c", script],
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
    ours = worker_environment(Settings(home=tmp_path), {})
    without = _printed(MAPPED_BYTES, {})
    assert without > 2**28, "without, each large block is a mapping of its own"
    assert _printed(MAPPED_BYTES, ours) == 0


def test_a_worker_has_large_pages_where_the_kernel_gives_them(tmp_path):
    ours = worker_environment(Settings(home=tmp_path), {})
    without = {**ours, "GLIBC_TUNABLES": ""}
    told = LARGE_PAGES.read_text("utf-8") if LARGE_PAGES.is_file() else "[never]"
    mode = told[told.index("[") + 1 : told.index("]")]
    expected = {"never": [False, False], "madvise": [False, True], "always": [True, True]}[mode]
    assert [_printed(LARGE_PAGE_BYTES, each) > 2**27 for each in (without, ours)] == expected
    own = {"GLIBC_TUNABLES": "glibc.malloc.perturb=1"}
    followed = worker_environment(Settings(home=tmp_path), own)
    assert followed["GLIBC_TUNABLES"] == own["GLIBC_TUNABLES"]


def test_the_launchers_have_names():
    assert set(LAUNCHERS) == {"local", "inline"}
