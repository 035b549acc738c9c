"""New versions of a task by hand, and what differs between two of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from backend.data.demonstration import Demonstration
from backend.data.editing import Changes, edit_rows
from backend.data.fields import HELD_OUT, TRAINING, Side
from backend.data.load import Loading
from backend.data.report import Report
from backend.data.writing import as_row
from backend.documents import validate
from backend.errors import DataError
from backend.jobs.tasks import Added, NewTask, StoredTask, add_task, check_names, find_task
from backend.settings import Settings
from storage.columns import JsonText
from storage.database import Database
from storage.tasks import NewVersion, Part, Tasks

Document = dict[str, Any]
SHOWN_DIFFERENCES: Final = 50
_PARTS: Final[tuple[Part, ...]] = ("training", "held_out")


def edit_task(
    database: Database, settings: Settings, name: str, document: Mapping[str, Any]
) -> Added:
    """A new version of a task with rows excluded, changed and added; see Changes.

    Raises NotFound, ConfigError for an unknown kind of change, and DataError for faulty rows.
    """
    changes = validate(Changes, dict(document), "changes")
    stored = find_task(database, name)
    version = stored.version
    edited = edit_rows(
        _sided_rows(database, version.id),
        version.training + version.held_out,
        changes,
        version.scorer,
        settings.home,
    )
    count = len(edited.training) + len(edited.held_out)
    report = Report(ok=True, rows_read=count)
    counts = {"training": len(edited.training), "held_out": len(edited.held_out)}
    new = NewVersion(
        content_hash=edited.content_hash,
        scorer=version.scorer,
        mapping=version.mapping,
        report=report.model_dump(mode="json"),
        split={**version.split, **counts},
        origin={
            "edited_from": version.number,
            "excluded": len(set(changes.exclude)),
            "changed": len(changes.change),
            "added": len(changes.add),
        },
        rows=(
            (part, JsonText(text))
            for part, rows in zip(_PARTS, (edited.training, edited.held_out), strict=True)
            for text in rows.json_texts()
        ),
    )
    stored_version, is_new = Tasks(database).add_version(stored.task.name, new)
    return Added(StoredTask(stored.task, stored_version), report, is_new)


def write_task(
    database: Database,
    settings: Settings,
    name: str,
    rows: Sequence[Mapping[str, Any]],
    loading: Loading,
) -> Added:
    """A task, or a new version of one, from rows that were written by hand.

    They are kept as a file, as an uploaded one would be. Raises DataError as adding that would.
    """
    check_names(name, loading.scorer)
    if not rows:
        raise DataError("there are no rows yet", where="rows", remedy="write at least two")
    settings.home.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=settings.home, prefix=".written-") as place:
        path = Path(place, f"{name}.jsonl")
        with path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        return add_task(database, settings, NewTask(name, path, loading))


def task_difference(database: Database, before: str, after: str) -> Document:
    """What changed from one version to another, as ``lights@1`` and ``lights@2``.

    Rows are paired by their texts, then by their ids. Raises NotFound.
    """
    versions = [find_task(database, name) for name in (before, after)]
    old, new = (_by_text(database, stored.version.id) for stored in versions)
    gone = {key: old[key] for key in old if key not in new}
    come = {key: new[key] for key in new if key not in old}
    by_id = {row["id"]: key for key, (row, _) in gone.items()}
    changed: list[Document] = [
        {"before": gone[by_id[row["id"]]][0], "after": row, "part": part}
        for row, part in come.values()
        if row["id"] in by_id
    ]
    same = {each["after"]["id"] for each in changed}
    moved: list[Document] = [
        {"row": row, "from": old[key][1], "to": part}
        for key, (row, part) in new.items()
        if key in old and old[key][1] != part
    ]
    lists: dict[str, list[Document]] = {
        "added": [{"row": r, "part": part} for r, part in come.values() if r["id"] not in same],
        "removed": [{"row": r, "part": part} for r, part in gone.values() if r["id"] not in same],
        "changed": changed,
        "moved": moved,
    }
    return {
        "before": {"version": versions[0].version.number, "rows": len(old)},
        "after": {"version": versions[1].version.number, "rows": len(new)},
        "counts": {kind: len(rows) for kind, rows in lists.items()},
        "scorer": [stored.version.scorer for stored in versions],
        **{kind: rows[:SHOWN_DIFFERENCES] for kind, rows in lists.items()},
    }


def _by_text(database: Database, version_id: str) -> dict[str, tuple[Document, Side]]:
    """A version's rows and their sides by all that is in them but their ids."""
    found = {}
    for row, side in _sided_rows(database, version_id):
        fields = as_row(row)
        key = json.dumps({**fields, "id": ""}, sort_keys=True)
        found[key] = (fields, side)
    return found


def _sided_rows(database: Database, version_id: str) -> Iterator[tuple[Demonstration, Side]]:
    for part in _PARTS:
        side = TRAINING if part == "training" else HELD_OUT
        for document in Tasks(database).rows(version_id, part):
            yield Demonstration.model_validate(document), side
