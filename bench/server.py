"""``sdlab serve`` as a process of its own, for as long as a measurement takes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

ROOT: Final = Path(__file__).parents[1]
READY_S: Final = 90.0
END_S: Final = 30.0


@dataclass(frozen=True)
class Served:
    """A server that answers at ``url``."""

    url: str
    process: psutil.Process


def environment(home: Path, **settings: str) -> dict[str, str]:
    """Variables for the lab at ``home``, of this tree's own code, without password or network."""
    return {
        **os.environ,
        "SDLAB_HOME": str(home),
        "SDLAB_PASSWORD": "",
        "PYTHONPATH": str(ROOT),
        "HF_HUB_OFFLINE": "1",
        **settings,
    }


@contextmanager
def running_server(home: Path, log: Path, **settings: str) -> Iterator[Served]:
    """A server of the lab at ``home``; it is stopped at the end."""
    command = [sys.executable, "-P", "-m", "sdlab", "serve", "--port", "0"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=environment(home, **settings),
        )
    try:
        yield Served(_address(process, log), psutil.Process(process.pid))
    finally:
        process.terminate()
        try:
            process.wait(timeout=END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Waits until the server has told its address and answers there."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        told = [line for line in log.read_text("utf-8").splitlines() if line.startswith("http://")]
        if told and _answers(told[0]):
            return told[0]
        time.sleep(0.05)
    raise RuntimeError(f"the server is not ready:\n{log.read_text('utf-8')}")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
