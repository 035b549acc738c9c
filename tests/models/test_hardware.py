"""Hardware profiles: measured once, remembered, and GPUs known by name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backend.models.hardware import (
    CACHE_NAME,
    UNKNOWN_GPU,
    HardwareProfile,
    cores_of_quota,
    hardware_profile,
    memory_mib,
    parse_gpu,
    torch_uses_gpus,
    usable_cores,
)
from backend.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A lab on a machine whose GPUs, if any, are not used."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return Settings(home=tmp_path)


def change_cache(home: Path, **values: Any) -> None:
    path = home / CACHE_NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_the_cpu_is_measured_once_and_remembered(settings: Settings) -> None:
    profile = hardware_profile(settings)
    assert profile.matmul_gflops > 1
    assert profile.memory_gb_s > 0.1
    assert 0 < profile.memory_mib_free <= profile.memory_mib_total
    assert "CPU core" in profile.device
    change_cache(settings.home, matmul_gflops=7.0, read_gb_s=3.0)
    assert hardware_profile(settings).matmul_gflops == pytest.approx(7.0 * usable_cores())


@pytest.mark.parametrize(
    "changes",
    [{"host": "another"}, {"cpus": 999}, {"measured_at": "2020-01-01T00:00:00+00:00"}, {"more": 1}],
)
def test_a_cache_that_is_old_or_of_another_machine_is_not_believed(
    settings: Settings, changes: dict[str, Any]
) -> None:
    hardware_profile(settings)
    change_cache(settings.home, matmul_gflops=1e9, **changes)
    assert hardware_profile(settings).matmul_gflops < 1e8


def test_a_torn_cache_is_written_anew(settings: Settings) -> None:
    (settings.home / CACHE_NAME).write_text("{")
    assert hardware_profile(settings).matmul_gflops > 1
    assert json.loads((settings.home / CACHE_NAME).read_text())["read_gb_s"] > 0.1


def test_a_cache_that_cannot_be_written_is_done_without(settings: Settings) -> None:
    (settings.home / CACHE_NAME).mkdir()
    assert hardware_profile(settings).matmul_gflops > 1


def test_fewer_threads_are_a_smaller_machine() -> None:
    assert usable_cores(1) == 1
    assert usable_cores(10_000) == usable_cores() >= 1


def test_memory_is_what_the_system_says() -> None:
    total, free = memory_mib()
    assert 0 < free <= total


@pytest.mark.parametrize(
    ("line", "tflops", "gb_s"),
    [
        ("NVIDIA H100 80GB HBM3, 81559, 81000", 989, 3350),
        ("NVIDIA H100 PCIe, 81559, 81000", 756, 2000),
        ("NVIDIA A100-SXM4-40GB, 40960, 40000", 312, 1555),
        ("NVIDIA A10G, 23028, 22500", 70, 600),
        ("NVIDIA A10, 23028, 22500", 125, 600),
        ("NVIDIA L4, 23034, 22565", 121, 300),
        ("NVIDIA L40S, 46068, 45000", 362, 864),
        ("NVIDIA GeForce RTX 4090, 24564, 23000", 165, 1008),
        ("Tesla T4, 15360, 15000", 8.1, 300),
        ("NVIDIA Quite New, 15360, 15000", *UNKNOWN_GPU),
    ],
)
def test_gpus_are_known_by_name_and_others_taken_for_slow(
    line: str, tflops: float, gb_s: float
) -> None:
    gpu = parse_gpu(f"{line}\nNVIDIA Another, 1, 1\n")
    name, total, free = line.split(", ")
    assert gpu == HardwareProfile(name, True, tflops * 1000, gb_s, int(total), int(free))
    assert gpu.bytes_per_weight == 2


def test_no_gpu_in_the_listing_is_no_gpu() -> None:
    assert parse_gpu("") is None
    assert parse_gpu("NVIDIA-SMI has failed, because\nNVIDIA GB10, [N/A], [N/A]\n") is None


@pytest.mark.parametrize(
    ("version", "visible", "uses"),
    [("2.13.0", None, True), ("2.13.0+cu130", "0,1", True), ("2.13.0+cpu", None, False),
     ("2.13.0", "", False), ("2.13.0", "-1", False), (None, None, False)],
)  # fmt: skip
def test_a_gpu_counts_only_where_torch_can_use_it(
    version: str | None, visible: str | None, uses: bool
) -> None:
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert torch_uses_gpus(version, environment) is uses


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 1),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "nonsense"}, None),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "300000\n"}, None),
        ({}, None),
    ],
)
def test_a_containers_share_of_time_is_read(
    files: dict[str, str], cores: int | None, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cores_of_quota(tmp_path) == cores


@pytest.mark.parametrize("threads", [0, 1])
def test_torch_takes_the_cores_that_the_process_may_use(threads: int) -> None:
    """In a process that may use one core only, as a container's cpuset would have it."""
    code = (
        "import os, torch; from backend.models.compute import choose_compute; "
        "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); "
        f"choose_compute({threads}); print(torch.get_num_threads())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "1"


def test_a_container_has_what_its_limit_leaves(tmp_path: Path) -> None:
    total, _ = memory_mib(tmp_path)
    assert total > 512, "nothing limits it here"
    (tmp_path / "memory.max").write_text(f"{512 << 20}\n")
    (tmp_path / "memory.current").write_text(f"{400 << 20}\n")
    (tmp_path / "memory.stat").write_text(f"anon 5\nactive_file {60 << 20}\ninactive_file 0\n")
    assert memory_mib(tmp_path) == (512, 172), "files that are kept in memory give way"
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_mib(tmp_path)[0] == total
