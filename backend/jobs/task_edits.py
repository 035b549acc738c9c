"""New versions of a task by hand, and what differs between two of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from backend.data.demonstration import Demonstration
from backend.data.editing import Changes, edit_rows
from backend.data.fields import HELD_OUT, TRAINING, Side
from backend.data.load import Item, Loading, Progress, Watch, told, unwatched
from backend.data.report import Report
from backend.data.writing import as_row
from backend.documents import validate
from backend.errors import DataError
from backend.jobs.tasks import (
    Added,
    NewTask,
    StoredTask,
    add_task,
    check_names,
    find_task,
    told_rows,
)
from backend.settings import Settings
from storage.database import Database
from storage.models import TaskVersion
from storage.task_rows import rows_at, rows_in_order
from storage.tasks import NewVersion, Part, Tasks

Document = dict[str, Any]
SHOWN_DIFFERENCES: Final = 50
_DIGEST: Final = 16


class _Place(NamedTuple):
    """Where a row of a version stands, and its id."""

    position: int
    side: Side
    id: str


def edit_task(
    database: Database,
    settings: Settings,
    name: str,
    document: Mapping[str, Any],
    watch: Watch = unwatched,
) -> Added:
    """A new version of a task with rows excluded, changed and added; see Changes.

    What ``watch`` raises ends it, and nothing is stored. Raises NotFound, ConfigError for an
    unknown kind of change, and DataError for faulty rows.
    """
    changes = validate(Changes, dict(document), "changes")
    stored = find_task(database, name)
    version = stored.version
    rows = version.training + version.held_out
    edited = edit_rows(
        told(_sided_rows(database, version.id), "reading", rows, watch),
        rows,
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
        rows=told_rows(edited.training, edited.held_out, watch),
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


def task_difference(
    database: Database, before: str, after: str, watch: Watch = unwatched
) -> Document:
    """What changed from one version to another, as ``lights@1`` and ``lights@2``.

    Rows are paired by their texts, then by their ids. What ``watch`` raises ends it. Raises
    NotFound.
    """
    versions = [find_task(database, name).version for name in (before, after)]
    total = sum(version.training + version.held_out for version in versions)
    old = _places(database, versions[0], total, watch)
    new = _places(database, versions[1], total, watch, len(old))
    watch(Progress("comparing", total, 1.0))
    gone = [place for key, place in old.items() if key not in new]
    come = [place for key, place in new.items() if key not in old]
    by_id = {place.id: place for place in gone}
    pairs = [(by_id[place.id], place) for place in come if place.id in by_id]
    same = {place.id for _, place in pairs}
    moves = [(old[key], place) for key, place in new.items() if _is_moved(old.get(key), place)]
    come = [place for place in come if place.id not in same]
    gone = [place for place in gone if place.id not in same]
    added, removed, changed, moved = _shown(come), _shown(gone), _shown(pairs), _shown(moves)
    ours = _documents(database, versions[0], [*removed, *(was for was, _ in changed)])
    theirs = _documents(
        database, versions[1], [*added, *(place for _, place in [*changed, *moved])]
    )
    return {
        "before": {"version": versions[0].number, "rows": len(old)},
        "after": {"version": versions[1].number, "rows": len(new)},
        "counts": {
            "added": len(come),
            "removed": len(gone),
            "changed": len(pairs),
            "moved": len(moves),
        },
        "scorer": [version.scorer for version in versions],
        "added": [{"row": theirs[place], "part": place.side} for place in added],
        "removed": [{"row": ours[place], "part": place.side} for place in removed],
        "changed": [
            {"before": ours[was], "after": theirs[place], "part": place.side}
            for was, place in changed
        ],
        "moved": [
            {"row": theirs[place], "from": was.side, "to": place.side} for was, place in moved
        ],
    }


def _documents(
    database: Database, version: TaskVersion, places: Sequence[_Place]
) -> dict[_Place, Document]:
    """The rows that are shown, read at once."""
    rows = rows_at(database, version.id, [place.position for place in places])
    return {
        place: as_row(Demonstration.model_validate(row.content))
        for place, row in zip(places, rows, strict=True)
    }


def _is_moved(was: _Place | None, place: _Place) -> bool:
    return was is not None and was.side != place.side


def _shown(found: Sequence[Item]) -> Sequence[Item]:
    return found[:SHOWN_DIFFERENCES]


def _places(
    database: Database, version: TaskVersion, total: int, watch: Watch, before: int = 0
) -> dict[bytes, _Place]:
    """A version's rows by a digest of all that is in them but their ids."""
    found = {}
    rows = told(rows_in_order(database, version.id), "comparing", total, watch, before)
    for position, part, content in rows:
        parts = [content["messages"], content["demonstration"], content.get("reference")]
        parts += [content.get("tags") or [], content.get("group")]
        key = hashlib.blake2b(json.dumps(parts).encode(), digest_size=_DIGEST).digest()
        found[key] = _Place(position, _side(part), content["id"])
    return found


def _sided_rows(database: Database, version_id: str) -> Iterator[tuple[Demonstration, Side]]:
    for row in rows_in_order(database, version_id):
        yield Demonstration.model_validate(row.content), _side(row.part)


def _side(part: Part) -> Side:
    return TRAINING if part == "training" else HELD_OUT
