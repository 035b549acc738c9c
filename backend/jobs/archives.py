"""A run's checkpoints and traces packed into one file beside them, and put back from it."""

from __future__ import annotations

import base64
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import zstandard

from backend.atomic import file_sha256, new_file
from backend.errors import DataError, StateError
from backend.jobs.work.context import run_folder
from backend.settings import Settings
from storage.artifacts import Artifacts
from storage.database import Database
from storage.keeping import Keeping
from storage.models import Artifact, Run
from storage.traces import Traces

KIND: Final = "archive"
_NAME: Final = "archive.tar.zst"
_TRACES: Final = "traces.jsonl"
_LEVEL: Final = 10


def archive_of(database: Database, run_id: str) -> Artifact | None:
    """The file that a run's checkpoints and traces are packed in; None if they are not."""
    found = [each for each in Artifacts(database).of_run(run_id) if each.kind == KIND]
    return found[-1] if found else None


def check_not_archived(database: Database, run_id: str) -> None:
    """Raises StateError for a run whose checkpoints are packed away."""
    if archive_of(database, run_id) is not None:
        raise StateError(
            "its checkpoints and traces are in its archive",
            where=f"run {run_id}",
            remedy=f"put them back with: sdlab unarchive {run_id[:8]}",
        )


def archive(database: Database, settings: Settings, run: Run) -> int:
    """Packs a run that has ended; the bytes of the file. Its scores, curves and adapter stay.

    The file is whole before anything goes. Raises StateError where there is nothing to pack.
    """
    check_not_archived(database, run.id)
    home = settings.home
    points = Artifacts(database).checkpoints(run.id)
    traces = Traces(database)
    if not points and not traces.steps(run.id):
        raise StateError(
            "it has neither checkpoints nor traces",
            where=f"run {run.id}",
            remedy="nothing to do: it takes little",
        )
    target = run_folder(settings, run.id) / _NAME
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    with (
        tempfile.NamedTemporaryFile("w+", dir=target.parent, encoding="utf-8") as rows,
        new_file(target) as partial,
        partial.open("wb") as raw,
        compressor.stream_writer(raw, closefd=False) as packed,
        tarfile.open(fileobj=packed, mode="w|") as tar,
    ):
        for point in points:
            tar.add(home / point.path, point.path)
        rows.writelines(json.dumps(_as_json(row)) + "\n" for row in traces.rows(run.id))
        rows.flush()
        tar.add(rows.name, _TRACES)
    size = target.stat().st_size
    path = target.relative_to(home).as_posix()
    made = Artifact(kind=KIND, path=path, sha256=file_sha256(target), bytes=size, run_id=run.id)
    if not Keeping(database).pack_away(made, [point.step for point in points]):
        target.unlink()
        raise StateError("it was queued again meanwhile", where=f"run {run.id}")
    for point in points:
        shutil.rmtree(home / point.path, ignore_errors=True)
    return size


def unarchive(database: Database, settings: Settings, run: Run) -> int:
    """Puts an archived run's checkpoints and traces back; the bytes of the file, which goes.

    Raises StateError for a run without an archive, and DataError for one that is damaged.
    """
    made = archive_of(database, run.id)
    if made is None:
        raise StateError(
            "it is not archived", where=f"run {run.id}", remedy="nothing to do: all is in its place"
        )
    source = settings.home / made.path
    if not source.is_file() or file_sha256(source) != made.sha256:
        raise DataError(
            "its archive is gone or damaged",
            where=str(source),
            remedy="put the file back from a backup",
        )
    with tempfile.TemporaryDirectory(dir=source.parent, prefix=".unarchive-") as scratch:
        with _opened(source) as tar:
            tar.extractall(scratch, filter="data")
        paths = []
        folder = Path("runs") / run.id / "checkpoints"
        for packed in sorted((Path(scratch) / folder).glob("*")):
            place = settings.home / folder / packed.name
            shutil.rmtree(place, ignore_errors=True)
            place.parent.mkdir(parents=True, exist_ok=True)
            packed.rename(place)
            paths.append((folder / packed.name).as_posix())
        with (Path(scratch) / _TRACES).open(encoding="utf-8") as rows:
            Keeping(database).put_back(made, paths, map(_from_json, rows))
    source.unlink()
    return made.bytes


@contextmanager
def _opened(source: Path) -> Iterator[tarfile.TarFile]:
    with (
        source.open("rb") as raw,
        zstandard.ZstdDecompressor().stream_reader(raw) as unpacked,
        tarfile.open(fileobj=unpacked, mode="r|") as tar,
    ):
        yield tar


def _as_json(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "blob": base64.b64encode(row["blob"]).decode()}


def _from_json(line: str) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(line)
    return {**row, "blob": base64.b64decode(row["blob"])}
