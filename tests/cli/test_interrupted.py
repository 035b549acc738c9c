"""Ctrl-C while a file is added: a sentence, its exit code, and nothing stored."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from tests.cli.command import Command
from tests.lab.tiny_tasks import rows, write_rows


def test_an_interrupted_upload_says_that_nothing_is_stored(tmp_path: Path) -> None:
    file, home = write_rows(tmp_path / "large.jsonl", rows(60_000)), tmp_path / "home"
    process = Command(home).start("task", "add", file, "--name", "given-up")
    deadline = time.monotonic() + 60
    while not _is_gathering(process.pid, home):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "sdlab: interrupted; nothing was stored\n")
    listed = Command(home)("task", "list").done()
    assert listed == []
    assert not list((home / "uploads").glob("*"))


def _is_gathering(pid: int, home: Path) -> bool:
    """Whether rows are on their way: then a nameless file of the lab's folder is open."""
    links = Path(f"/proc/{pid}/fd")
    try:
        targets = [str(link.readlink()) for link in links.iterdir()]
    except OSError:
        return False
    return any(t.startswith(str(home)) and t.endswith("(deleted)") for t in targets)
