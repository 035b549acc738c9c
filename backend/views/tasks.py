"""Tasks as their page shows them: the list, one version, its rows, a file before it is added."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from backend.bundled import material_path
from backend.data.hub import fetched
from backend.errors import NotFound
from backend.evaluation.intervals import wilson
from backend.evaluation.scorers import SCORERS
from backend.jobs.documents import Document, version_document
from backend.jobs.tasks import NewTask, StoredTask, find_task, load_new_task
from backend.settings import Settings
from storage.database import Database
from storage.models import Run, TaskRow, TaskVersion
from storage.runs import Runs
from storage.tasks import Part, Tasks

PAGE: Final = 50
_LISTED_RUNS: Final = 6
_SHOWN_CHARACTERS: Final = 600
_SAMPLE_TASK: Final = "tasks/home-commands.training.jsonl"
_SAMPLE_ROWS: Final = 40


def task_list(database: Database) -> list[Document]:
    """Every task at its newest version, with the jobs that worked on any of them."""
    tasks = Tasks(database)
    listed = []
    for task in tasks.all():
        versions = tasks.versions(task.id)
        newest = versions[-1]
        listed.append(
            {
                "name": task.name,
                "version": newest.number,
                "rows": {"training": newest.training, "held_out": newest.held_out},
                "scorer": newest.scorer,
                "created_at": newest.created_at.isoformat(),
                **_runs(database, versions),
            }
        )
    return listed


def opened_task(database: Database, name: str, number: str = "") -> Document:
    """A version with its report, its sisters, and its jobs. Raises NotFound."""
    stored = _find(database, name, number)
    versions = Tasks(database).versions(stored.task.id)
    return {
        **version_document(stored),
        "versions": [
            {
                "version": version.number,
                "rows": {"training": version.training, "held_out": version.held_out},
                "created_at": version.created_at.isoformat(),
            }
            for version in versions
        ],
        "is_newest": stored.version.number == versions[-1].number,
        **_runs(database, [stored.version]),
    }


def task_rows(
    database: Database, name: str, number: str = "", part: str = "", page: int = 1
) -> Document:
    """A page of a version's rows, training rows first, or of one part. Raises NotFound.

    ``place`` counts a version's rows from 1; a page beyond the last is the last.
    """
    version = _find(database, name, number).version
    chosen: Part | None = "training" if part == "training" else None
    chosen = "held_out" if part == "held_out" else chosen
    counts = {"training": version.training, "held_out": version.held_out}
    count = counts[chosen] if chosen else sum(counts.values())
    pages = max(1, -(-count // PAGE))
    page = min(max(1, page), pages)
    rows = Tasks(database).page(version.id, (page - 1) * PAGE, PAGE, chosen)
    return {
        "rows": [_row(row) for row in rows],
        "part": chosen or "",
        "page": page,
        "pages": pages,
        "count": count,
    }


def find_row(database: Database, name: str, number: str, place: int) -> TaskRow:
    """The row at ``place``, which counts a version's rows from 1. Raises NotFound."""
    version = _find(database, name, number).version
    rows = version.training + version.held_out
    found = Tasks(database).row(version.id, place - 1) if 0 < place <= rows else None
    if found is None:
        raise NotFound(
            f"there is no row {place}", where="row", remedy=f"choose one from 1 to {rows:,}"
        )
    return found


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


def _find(database: Database, name: str, number: str) -> StoredTask:
    plain = name.partition("@")[0] if number else name
    return find_task(database, f"{plain}@{number}" if number else plain)


def _runs(database: Database, versions: Sequence[TaskVersion]) -> Document:
    """The newest jobs on these versions, and how many there are besides."""
    numbers = {version.id: version.number for version in versions}
    found = Runs(database).of_versions(list(numbers))
    shown = [_run(run, numbers) for run in found[:_LISTED_RUNS]]
    return {"runs": shown, "runs_left_off": len(found) - len(shown)}


def _run(run: Run, numbers: dict[str, int]) -> Document:
    return {
        "id": run.id,
        "name": run.name,
        "kind": run.kind,
        "state": run.state,
        "version": numbers[run.task_version_id or ""],
    }


def _row(row: TaskRow) -> Document:
    content = row.content
    return {
        "place": row.position + 1,
        "part": row.part,
        "id": content["id"],
        "prompt": _short(content["messages"][-1]["content"]),
        "turns": len(content["messages"]),
        "demonstration": _short(content["demonstration"]),
        "tags": list(content["tags"])[:8],
    }


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + " …"
