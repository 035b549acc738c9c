"""Tasks in the lab: adding a version from a file, finding one, and the ones that are bundled."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from backend.atomic import file_sha256, new_file
from backend.bundled import TASKS, material_path
from backend.config import Settings
from backend.data.demonstration import Demonstration
from backend.data.load import Loaded, load_demonstrations
from backend.data.progress import STORING, Progress, tell_nobody
from backend.data.report import Report
from backend.data.writing import to_jsonl
from backend.errors import DataError, NotFound, StateError
from backend.evaluation.scorers import choose
from storage.database import Database
from storage.models import Artifact, Task, TaskVersion
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
    """What a user gives to add a task; see load_demonstrations for ``held_out``."""

    name: str
    path: Path
    overrides: Mapping[str, str]
    scorer: str = "exact"
    held_out: float | int | Path = 0.2
    seed: int = 0
    keep_good: bool = False


@dataclass(frozen=True)
class Added:
    """The stored version, its report, and whether it is new or was there already."""

    stored: StoredTask
    report: Report
    is_new: bool


def add_task(
    database: Database, settings: Settings, new: NewTask, progress: Progress = tell_nobody
) -> Added:
    """Reads, checks and stores a file of demonstrations, all of it or nothing.

    Raises DataError for a bad name or scorer, ReportedDataError for bad rows, and whatever
    ``progress`` raises: then nothing is stored.
    """
    loaded = load_new_task(settings, new, progress)
    total = len(loaded.training) + len(loaded.held_out)
    with _kept_uploads(settings, new) as (upload, apart):
        version, is_new = Tasks(database).add_version(
            new.name,
            _as_version(new, loaded, upload, apart),
            lambda rows: progress(STORING, rows, total),
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
            overrides={},
            scorer=BUNDLED_SCORERS.get(name, "exact"),
            held_out=material_path(f"tasks/{name}.held_out.jsonl"),
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
    """Writes a task's rows, training rows first, as JSONL. Raises StateError over a file."""
    if target.exists():
        raise StateError(
            "there is something at this place already",
            where=str(target),
            remedy="name another file, or remove it first",
        )
    version_id = find_task(database, name).version.id
    parts: tuple[Part, ...] = ("training", "held_out")
    rows = [row for part in parts for row in demonstrations(database, version_id, part)]
    with new_file(target) as partial, partial.open("w", encoding="utf-8") as handle:
        handle.writelines(to_jsonl(rows))
    return {"path": str(target), "rows": len(rows), "bytes": target.stat().st_size}


def load_new_task(settings: Settings, new: NewTask, progress: Progress = tell_nobody) -> Loaded:
    """Reads, checks and splits a file; stores nothing. Raises DataError as adding it would."""
    scorer = check_names(new.name, new.scorer)
    return load_demonstrations(
        new.path,
        overrides=new.overrides,
        held_out=new.held_out,
        seed=new.seed,
        keep_good=new.keep_good,
        scorer=scorer,
        max_mib=settings.max_upload_mib,
        progress=progress,
    )


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


@contextmanager
def _kept_uploads(settings: Settings, new: NewTask) -> Iterator[tuple[Artifact, Artifact | None]]:
    """The file, and the held-out one if there is one, under the lab's own names for them.

    Those that were not there before are removed again after an error.
    """
    made: list[Path] = []
    try:
        upload = _keep_upload(settings, new.path, made)
        apart = None
        if isinstance(new.held_out, Path):
            apart = _keep_upload(settings, new.held_out, made)
        yield upload, apart
    except BaseException:
        for path in made:
            path.unlink(missing_ok=True)
        raise


def _keep_upload(settings: Settings, path: Path, made: list[Path]) -> Artifact:
    digest = file_sha256(path)
    kept = settings.home / "uploads" / f"{digest}{path.suffix.lower()}"
    if not kept.exists():
        with new_file(kept) as partial:
            shutil.copyfile(path, partial)
        made.append(kept)
    relative = kept.relative_to(settings.home).as_posix()
    return Artifact(kind="upload", path=relative, sha256=digest, bytes=kept.stat().st_size)


def _as_version(
    new: NewTask, loaded: Loaded, upload: Artifact, apart: Artifact | None
) -> NewVersion:
    rows: list[tuple[Part, Mapping[str, object]]] = []
    rows += [("training", row.model_dump(mode="json")) for row in loaded.training]
    rows += [("held_out", row.model_dump(mode="json")) for row in loaded.held_out]
    return NewVersion(
        content_hash=loaded.content_hash,
        scorer=choose_scorer(new.scorer),
        mapping=loaded.mapping.model_dump(mode="json"),
        report=loaded.report.model_dump(mode="json"),
        split=loaded.split | ({"upload": apart.path, "sha256": apart.sha256} if apart else {}),
        rows=tuple(rows),
        upload=upload,
        held_out_upload=apart,
    )
