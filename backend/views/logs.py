"""The end of a worker's log."""

from __future__ import annotations

import os
from typing import Final

from backend.jobs.launchers import LOG_NAME
from backend.jobs.work.context import run_folder
from backend.settings import Settings
from storage.database import Database
from storage.runs import Runs

_MOST_BYTES: Final = 256 * 1024


def log_tail(database: Database, settings: Settings, run: str, lines: int) -> str:
    """The last ``lines`` lines of a run's log, from at most its last 256 KiB."""
    found = Runs(database).get(run)
    if found is None:
        return ""
    try:
        with (run_folder(settings, found.id) / LOG_NAME).open("rb") as handle:
            handle.seek(max(0, handle.seek(0, os.SEEK_END) - _MOST_BYTES))
            text = handle.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
