"""Tasks in the lab: adding a version from a file, finding one, and the ones that are bundled."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from backend.atomic import new_file
from backend.bundled import TASKS, material_path
from backend.data.demonstration import Demonstration
from backend.data.hub import fetched
from backend.data.load import Loaded, Loading, Progress, Watch, load_demonstrations, told
from backend.data.looking import Looked, look
from backend.data.mapping import ColumnMapping, Remembered
from backend.data.preview import preview
from backend.data.report import Report, ReportedDataError
from backend.data.spool import StoredRows
from backend.data.writing import to_jsonl, write_csv
from backend.errors import DataError, NotFound, StateError
from backend.evaluation.scorers import choose
from backend.evaluation.suitability import unsuited
from backend.jobs.task_files import kept_uploads
from backend.settings import Settings
from storage.columns import JsonText
from storage.database import Database
from storage.models import Artifact, Task, TaskVersion
from storage.task_rows import rows_in_order
from storage.tasks import NewVersion, Part, Tasks

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
BUNDLED_SCORERS: Final[Mapping[str, str]] = {"house-style": "parts"}


@dataclass(frozen=True)
class StoredTask:
    """One version of a task."""

    task: Task
    version: TaskVersion


@dataclass(frozen=True)
class NewTask:
    """What a user gives to add a task."""

    name: str
    path: Path
    loading: Loading = field(default_factory=Loading)


@dataclass(frozen=True)
class Added:
    """The stored version, its report, and whether it is new or was there already."""

    stored: StoredTask
    report: Report
    is_new: bool


def add_task(database: Database, settings: Settings, new: NewTask) -> Added:
    """Reads, checks and stores a file of demonstrations, all of it or nothing.

    Raises DataError for a bad name or scorer, and ReportedDataError for bad rows.
    """
    if new.loading.faulty_to is not None:
        check_free(new.loading.faulty_to)
    with fetched(new.path, settings.max_upload_mib) as path:
        new = replace(new, path=path)
        loaded = load_new_task(database, settings, new)
        with kept_uploads(settings, _files(new)) as uploads:
            version, is_new = Tasks(database).add_version(
                new.name, _as_version(new, loaded, uploads)
            )
    task = Tasks(database).of_version(version.id)
    assert task is not None  # stored in the same transaction
    return Added(StoredTask(task, version), loaded.report, is_new)


def add_bundled_tasks(database: Database, settings: Settings) -> list[StoredTask]:
    """The tasks that ship with the lab, each with its own held-out file."""
    stored = []
    for name in TASKS:
        new = NewTask(
            name=name,
            path=material_path(f"tasks/{name}.training.jsonl"),
            loading=Loading(
                scorer=BUNDLED_SCORERS.get(name, "exact"),
                held_out=material_path(f"tasks/{name}.held_out.jsonl"),
            ),
        )
        stored.append(add_task(database, settings, new).stored)
    return stored


def find_task(database: Database, name: str) -> StoredTask:
    """The task ``name`` at its newest version, or ``name@2``. Raises NotFound."""
    tasks = Tasks(database)
    plain, _, number = name.partition("@")
    task = tasks.by_name(plain)
    if task is None:
        known = ", ".join(task.name for task in tasks.all()) or "none yet"
        raise NotFound(
            f'there is no task "{plain}" (tasks: {known})',
            where="task",
            remedy="add it with: sdlab task add FILE --name NAME",
        )
    # More digits than any version has would not fit into the column.
    if number and not (number.isdecimal() and len(number) < 10):
        version = None
    else:
        version = tasks.version(task.id, int(number) if number else None)
    if version is None:
        newest = tasks.version(task.id)
        raise NotFound(
            f'task "{plain}" has no version "{number}"',
            where="task",
            remedy=f"its versions go from 1 to {newest.number if newest else 0}",
        )
    return StoredTask(task, version)


def pinned_name(stored: StoredTask) -> str:
    """The name that goes on meaning this version: ``home-commands@2``."""
    return f"{stored.task.name}@{stored.version.number}"


def demonstrations(
    database: Database, version_id: str, part: Part, limit: int | None = None
) -> list[Demonstration]:
    """The version's rows of one part, in order; at most the first ``limit``."""
    documents = Tasks(database).rows(version_id, part, limit)
    return [Demonstration.model_validate(document) for document in documents]


def export_task(database: Database, name: str, target: Path) -> dict[str, Any]:
    """Writes a task's rows, training rows first, as JSONL, or as CSV where the name ends so.

    Raises StateError over a file.
    """
    check_free(target)
    version = find_task(database, name).version
    rows = (
        (Demonstration.model_validate(row.content), row.part)
        for row in rows_in_order(database, version.id)
    )
    escaped = 0
    with new_file(target) as partial:
        if target.suffix.lower() == ".csv":
            escaped = write_csv(partial, rows)
        else:
            with partial.open("w", encoding="utf-8") as handle:
                handle.writelines(line for row, part in rows for line in to_jsonl([row], part))
    return {
        "path": str(target),
        "rows": version.training + version.held_out,
        "bytes": target.stat().st_size,
        "escaped": escaped,
    }


def write_faulty_rows(
    database: Database, settings: Settings, new: NewTask, target: Path
) -> dict[str, Any]:
    """Writes the faulty rows of a file as JSONL, each with what is wrong; stores nothing.

    Raises StateError over a file, and DataError where the file itself cannot be read.
    """
    check_free(target)
    loading = replace(new.loading, faulty_to=target)
    with fetched(new.path, settings.max_upload_mib) as path:
        try:
            report = load_new_task(database, settings, NewTask(new.name, path, loading)).report
        except ReportedDataError as error:
            report = error.report
    with target.open("rb") as file:
        count = sum(1 for _ in file)
    return {
        "path": str(target),
        "rows": count,
        "bytes": target.stat().st_size,
        "report": report.model_dump(mode="json"),
    }


def preview_file(
    database: Database,
    settings: Settings,
    path: Path,
    name: str,
    overrides: Mapping[str, str],
    look_at: Callable[[Path, int], Looked] = look,
) -> dict[str, Any]:
    """What a file looks like, see :func:`backend.data.preview.preview`; stores nothing."""
    own = remembered(database, name)
    names = [task.name for task in Tasks(database).all() if task.name != name]
    others = [each for other in names for each in remembered(database, other)]
    with fetched(path, settings.max_upload_mib) as local:
        return preview(look_at(local, settings.max_upload_mib), overrides, own, others)


def check_free(target: Path) -> None:
    """Raises StateError where something is at this place already."""
    if target.exists():
        raise StateError(
            "there is something at this place already",
            where=str(target),
            remedy="name another file, or remove it first",
        )


def load_new_task(database: Database, settings: Settings, new: NewTask) -> Loaded:
    """Reads, checks and splits a file; stores nothing. Raises DataError as adding it would."""
    loading = replace(
        new.loading,
        scorer=check_names(new.name, new.loading.scorer),
        max_mib=settings.max_upload_mib,
        scratch=settings.home,
        remembered=remembered(database, new.name),
    )
    loaded = load_demonstrations(new.path, loading)
    count, words = unsuited(choose(loading.scorer), loaded.held_out)
    return replace(loaded, report=loaded.report.warned("scorer", count, words))


def remembered(database: Database, name: str) -> list[Remembered]:
    """The mappings that a task's files were read by, newest first."""
    tasks = Tasks(database)
    task = tasks.by_name(name)
    versions = tasks.versions(task.id) if task is not None else []
    return [
        Remembered(f"{name}@{version.number}", ColumnMapping.model_validate(version.mapping))
        for version in reversed(versions)
        if version.mapping.get("columns")
    ]


def choose_scorer(scorer: str, options: str = "") -> str:
    """A scorer and its options as they are stored. Raises DataError."""
    return choose(scorer, options).text


def check_names(name: str, scorer: str) -> str:
    """The scorer as it is stored. Raises DataError, whose ``where`` says which is at fault."""
    if not NAME.fullmatch(name):
        raise DataError(
            f'"{name}" cannot be a task\'s name',
            where="name",
            remedy="use letters, digits, dots, dashes and underscores, at most 80",
        )
    return choose_scorer(scorer)


def _files(new: NewTask) -> list[Path]:
    """The task's file, and that of its held-out rows if they have one."""
    held_out = new.loading.held_out
    return [new.path, held_out] if isinstance(held_out, Path) else [new.path]


def _as_version(new: NewTask, loaded: Loaded, uploads: Sequence[Artifact]) -> NewVersion:
    upload, apart = [*uploads, None][:2]
    return NewVersion(
        content_hash=loaded.content_hash,
        scorer=choose_scorer(new.loading.scorer),
        mapping=loaded.mapping.model_dump(mode="json"),
        report=loaded.report.model_dump(mode="json"),
        split=loaded.split | ({"upload": apart.path, "sha256": apart.sha256} if apart else {}),
        origin=loaded.origin,
        rows=told_rows(loaded.training, loaded.held_out, new.loading.watch),
        upload=upload,
        held_out_upload=apart,
    )


def told_rows(
    training: StoredRows, held_out: StoredRows, watch: Watch
) -> Iterator[tuple[Part, JsonText]]:
    """The rows of both parts, while the watcher hears how many are stored."""
    total = len(training) + len(held_out)
    sides: tuple[tuple[Part, StoredRows], ...] = (("training", training), ("held_out", held_out))
    rows = ((part, JsonText(text)) for part, side in sides for text in side.json_texts())
    yield from told(rows, "storing", total, watch)
    watch(Progress("storing", total, 1.0))
