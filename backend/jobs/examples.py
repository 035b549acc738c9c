"""Checks as papers made them: their data as a task, of which all rows are looked at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from backend.data.load import Loading
from backend.errors import ConfigError, DataError
from backend.jobs.tasks import NewTask, add_task, pinned_name, preview_file
from backend.settings import Settings
from storage.database import Database

# By the shape of the file's rows: the scorer that the paper names.
EXAMPLES: Final[Mapping[str, str]] = {"toolalpaca": 'tool-calls:{"any_order": true}'}
# A few calls with their parameters.
_ANSWER_TOKENS: Final = 128


def example_premise(
    database: Database, settings: Settings, example: str, path: Path
) -> dict[str, Any]:
    """Adds the example's file as a task, once; returns the premise check's document for all rows.

    Raises ConfigError for an unknown example, and DataError for a file of another shape or with
    faulty rows.
    """
    if example not in EXAMPLES:
        raise ConfigError(
            f'there is no example "{example}"',
            where="--example",
            remedy=f"choose one of {', '.join(EXAMPLES)}",
        )
    shape = preview_file(database, settings, path, example, {})["shape"]["name"]
    if shape != example:
        raise DataError(
            f"this is no evaluation file of {example}: its rows are of the shape {shape}",
            where=str(path),
            remedy="give the file as it was published, such as eval_simulated.json",
        )
    new = NewTask(example, path, Loading(scorer=EXAMPLES[example]))
    return {
        "task": pinned_name(add_task(database, settings, new).stored),
        "rows": "all",
        "limit": 0,
        "max_new_tokens": _ANSWER_TOKENS,
    }
