"""A worker's log: its end, or what it says of something."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from backend.errors import ConfigError
from backend.jobs.launchers import LOG_NAME
from backend.jobs.queue import find_run
from backend.jobs.work.context import run_folder
from backend.settings import Settings
from storage.database import Database

LEVELS: Final = ("debug", "info", "warning", "error", "critical")
_TAIL_BYTES: Final = 256 * 1024
_SEARCHED_BYTES: Final = 4 * 2**20
_BEGINS: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ([A-Z]+) ")
# What crashes write there themselves, past the worker's own logging.
_CRASHES: Final = ("Traceback (most recent call last)", "Fatal Python error")


class _Entry(NamedTuple):
    """What was told at once: a line, and those that follow it without a time of their own."""

    level: int
    lines: list[str]


def read_log(
    database: Database, settings: Settings, run: str, lines: int, find: str = "", level: str = ""
) -> str:
    """The last ``lines`` lines of a run's log; only entries of ``level`` or above with ``find``.

    Looks at the last 256 KiB, or 4 MiB where something is searched for. Raises NotFound, and
    ConfigError for an unknown level.
    """
    if level and level not in LEVELS:
        raise ConfigError(
            f'"{level}" is no level of the log',
            where="level",
            remedy=f"give one of {', '.join(LEVELS)}",
        )
    text = _end(settings, find_run(database, run).id, bool(find or level))
    if not find and not level:
        return "\n".join(text.splitlines()[-lines:])
    least, wanted = LEVELS.index(level) if level else 0, find.casefold()
    found = [
        line
        for entry in _entries(text)
        if entry.level >= least and any(wanted in line.casefold() for line in entry.lines)
        for line in entry.lines
    ]
    return "\n".join(found[-lines:])


def _end(settings: Settings, run_id: str, is_search: bool) -> str:
    most = _SEARCHED_BYTES if is_search else _TAIL_BYTES
    try:
        with (run_folder(settings, run_id) / LOG_NAME).open("rb") as handle:
            handle.seek(max(0, handle.seek(0, os.SEEK_END) - most))
            return handle.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def _entries(text: str) -> Iterator[_Entry]:
    entry = _Entry(LEVELS.index("info"), [])
    for line in text.splitlines():
        begun = _BEGINS.match(line)
        is_crash = begun is None and line.startswith(_CRASHES) and entry.level < 3
        if begun is not None or is_crash:
            if entry.lines:
                yield entry
            name = begun[1].lower() if begun else "error"
            entry = _Entry(LEVELS.index(name) if name in LEVELS else 1, [])
        entry.lines.append(line)
    if entry.lines:
        yield entry
