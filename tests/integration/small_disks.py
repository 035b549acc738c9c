"""Places without room: a small file system of its own where this user may mount one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cli.command import Command


@dataclass(frozen=True)
class SmallDisk:
    """A lab on a disk that takes so much."""

    command: Command
    is_mounted: bool

    def with_room(self) -> Command:
        """The lab once there is room again."""
        if self.is_mounted:
            _mount("-o", "remount,size=64m", str(self.command.home.parent))
        return Command(self.command.home)


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[SmallDisk]:
    """A tmpfs of ``size_bytes`` at ``folder``.

    Who may not mount gets a lab whose processes may not write files larger than that: it is met
    at the same writes, as EFBIG in place of ENOSPC.
    """
    folder.mkdir()
    size = f"size={size_bytes}"
    if not _mount("-t", "tmpfs", "-o", size, "tmpfs", str(folder)):
        yield SmallDisk(Command(folder / "home", file_limit=size_bytes), is_mounted=False)
        return
    try:
        yield SmallDisk(Command(folder / "home"), is_mounted=True)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mount(*arguments: str) -> bool:
    try:
        return subprocess.run(["mount", *arguments], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False
