"""Starts a program that a model wrote in a process that may do next to nothing, and ends it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from backend.evaluation.scorers.scorer import ScorerFailed

OUTPUT_BYTES: Final = 2**20
# What starting Python and locking it in may take, before the program's own time begins.
START_S: Final = 10.0
_SCRIPT: Final = Path(__file__).with_name("sandboxed.py")
_REPORT_BYTES: Final = 64 * 1024
_SHOWN: Final = 300


@dataclass(frozen=True)
class Ended:
    """How a program ended: its checks, or why there are none; ``output`` is the end of it."""

    passed: int
    of: int
    first: str
    output: str
    confined: tuple[str, ...]


def run_checks(
    code: str, checks: Sequence[str], *, timeout_s: int, memory_mib: int, confined: bool
) -> Ended:
    """Runs ``code``, then the statements of ``checks``, and counts those that pass.

    Raises ScorerFailed where the program cannot be locked in as wanted, or a check is no Python.
    """
    with tempfile.TemporaryDirectory(prefix="sdlab-code-", ignore_cleanup_errors=True) as folder:
        inside = Path(folder) / "inside"
        inside.mkdir()
        request = {
            "code": code,
            "checks": list(checks),
            "folder": str(inside),
            "timeout_s": timeout_s,
            "memory_mib": memory_mib,
            "output_bytes": OUTPUT_BYTES,
            "confined": confined,
        }
        output = Path(folder) / "output"
        status, report = _run(json.dumps(request).encode(), output, inside, timeout_s)
        written = _end_of(output)
    return _ended(status, report, written, timeout_s, memory_mib)


def _run(
    request: bytes, output: Path, inside: Path, timeout_s: int
) -> tuple[int | None, dict[str, Any]]:
    """Exit status, None for one that was killed for its time, and what the script reported."""
    reading, writing = os.pipe()
    try:
        with output.open("wb") as out, tempfile.TemporaryFile() as given:
            given.write(request)
            given.seek(0)
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", str(_SCRIPT), str(writing)],
                stdin=given,
                stdout=out,
                stderr=out,
                cwd=inside,
                env={},
                pass_fds=(writing,),
                start_new_session=True,
            )
        os.close(writing)
        writing = -1
        # Something comes once the program is locked in, and its time begins.
        select.select([reading], [], [], START_S)
        status = _wait(process, timeout_s)
        # The writers are dead: what does not come at once never will.
        os.set_blocking(reading, False)
        return status, _read_report(reading)
    finally:
        os.close(reading)
        if writing >= 0:
            os.close(writing)


def _wait(process: subprocess.Popen[bytes], timeout_s: int) -> int | None:
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        # A program may leave its group, but not without a parent that still has it as a child.
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _read_report(reading: int) -> dict[str, Any]:
    try:
        report = json.loads(os.read(reading, _REPORT_BYTES) or b"{}")
    except (BlockingIOError, ValueError, RecursionError):
        return {}
    return report if isinstance(report, dict) else {}


def _end_of(output: Path) -> str:
    with output.open("rb") as handle:
        handle.seek(max(0, output.stat().st_size - _SHOWN))
        return handle.read().decode("utf-8", "replace").strip()


def _ended(
    status: int | None, report: dict[str, Any], output: str, timeout_s: int, memory_mib: int
) -> Ended:
    confined = tuple(map(str, report.get("confined") or ()))
    if report.get("refused"):
        raise ScorerFailed(
            f"programs cannot be kept from {report['refused']} on this machine",
            where="scorer code",
            remedy="run the lab where Landlock and user namespaces are allowed, or set "
            "SDLAB_RUN_CODE=unconfined if every program may read and send what you can",
            record={"confined": list(confined)},
        )
    if report.get("fault"):
        raise ScorerFailed(
            f"the assertions are not Python ({report['fault']})",
            where="scorer code",
            remedy="put the row's reference right",
        )
    passed, of = report.get("passed"), report.get("of")
    if isinstance(passed, int) and isinstance(of, int) and 0 <= passed <= of:
        return Ended(passed, of, str(report.get("first") or ""), output, confined)
    if status is None or status in (128 + signal.SIGXCPU, -signal.SIGXCPU):
        reason = f"it ran longer than {timeout_s} s"
    elif status in (128 + signal.SIGKILL, -signal.SIGKILL):
        reason = f"it was killed (its limits: {timeout_s} s, {memory_mib} MiB)"
    elif status > 128 or status < 0:
        reason = f"it was ended by signal {abs(status) % 128}"
    elif "sandboxed.py" in output:
        raise ScorerFailed(
            f"the program could not be started ({output.splitlines()[-1][:200]})",
            where="scorer code",
            remedy="see docs/scorers.md for what the scorer needs",
        )
    else:
        reason = f"it ended itself, with status {status}"
    return Ended(0, 0, reason, output, confined)
