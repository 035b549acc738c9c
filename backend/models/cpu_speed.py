"""Measures one CPU core with numpy: run as a file, in a process of its own, prints JSON.

In a process of its own, because numpy's threads are set when it is imported, and several threads
on a busy machine measure the waiting. Time is the core's own, so that other work hardly matters.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import numpy as np

MATMUL_S = 0.3
READ_S = 0.1


def matmul_gflops(size: int = 512) -> float:
    """Single-precision multiplications and additions a second, in 10^9."""
    left, right = np.ones((size, size), np.float32), np.ones((size, size), np.float32)
    product = np.empty_like(left)
    return 2 * size**3 / _cpu_s(lambda: np.matmul(left, right, out=product), MATMUL_S) / 1e9


def read_gb_s(mib: int = 64) -> float:
    """How fast weights are read when one token at a time goes through them, in 10^9 bytes."""
    weights, token = np.ones((mib * 64, 4096), np.float32), np.ones(4096, np.float32)
    return weights.nbytes / _cpu_s(lambda: weights @ token, READ_S) / 1e9


def _cpu_s(work: Callable[[], object], for_s: float) -> float:
    work()
    count, started = 0, time.process_time()
    while time.process_time() - started < for_s:
        work()
        count += 1
    return (time.process_time() - started) / count


if __name__ == "__main__":
    print(json.dumps({"matmul_gflops": matmul_gflops(), "read_gb_s": read_gb_s()}))
