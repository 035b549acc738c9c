"""What the form for a new task shows: a file before it is added, scorers, a sample."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from backend.bundled import material_path
from backend.data.hub import fetched
from backend.evaluation.intervals import wilson
from backend.evaluation.scorers import SCORERS
from backend.jobs.documents import Document
from backend.jobs.tasks import NewTask, load_new_task
from backend.settings import Settings
from storage.database import Database
from storage.tasks import Tasks

_SAMPLE_TASK: Final = "tasks/home-commands.training.jsonl"
_SAMPLE_ROWS: Final = 40


def check_upload(database: Database, settings: Settings, new: NewTask) -> Document:
    """What adding a file would store; stores nothing. Raises DataError as adding would."""
    with fetched(new.path, settings.max_upload_mib) as path:
        loaded = load_new_task(database, settings, replace(new, path=path))
    tasks = Tasks(database)
    task = tasks.by_name(new.name)
    versions = tasks.versions(task.id) if task else []
    same = [each.number for each in versions if each.content_hash == loaded.content_hash]
    return {
        "name": new.name,
        "version": same[0] if same else len(versions) + 1,
        "is_new": not same,
        "rows": {"training": len(loaded.training), "held_out": len(loaded.held_out)},
        "report": loaded.report.model_dump(mode="json"),
        "mapping": loaded.mapping.model_dump(mode="json"),
        "split": loaded.split,
        "left_out": loaded.origin["left_out"],
    }


def scorer_names() -> list[str]:
    """The scorers that a task can have."""
    return list(SCORERS)


def sample_file() -> str:
    """Some rows of a bundled task, as JSONL in the plainest form, to start one's own from."""
    lines = material_path(_SAMPLE_TASK).read_text("utf-8").splitlines()[:_SAMPLE_ROWS]
    rows = [json.loads(line) for line in lines]
    plain = [{"prompt": row["prompt"], "demonstration": row["demonstration"]} for row in rows]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in plain)


def interval_widths(counts: Sequence[int], share: float = 0.5) -> list[Document]:
    """The 95 % interval of a score of ``share`` for each number of held-out rows."""
    widths = []
    for n in counts:
        low, high = wilson(share * n, n)
        widths.append({"n": n, "score": share, "low": low, "high": high})
    return widths
