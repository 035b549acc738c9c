"""A lab in one TAR file, made while it is used, and put back somewhere else."""

from __future__ import annotations

import sqlite3
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from backend.atomic import file_sha256, new_file
from backend.errors import DataError, StateError
from backend.settings import Settings
from storage.database import Database, open_database
from storage.keeping import Keeping

DATABASE: Final = "lab.sqlite"


def backup(database: Database, settings: Settings, target: Path) -> dict[str, Any]:
    """Writes the database as it is now, and all files that it refers to; path, sha256 and bytes.

    Models are left out: they are fetched or converted again. Raises StateError for a database on a
    server and for a target that exists.
    """
    if database.file is None:
        raise StateError(
            "the lab's database is on a server, which has backups of its own",
            where="SDLAB_DATABASE_URL",
            remedy=f"use pg_dump for it, and copy the folder {settings.home}",
        )
    if target.exists():
        raise StateError("it exists", where=str(target), remedy="name a file that is not there yet")
    with tempfile.TemporaryDirectory(dir=settings.home, prefix=".backup-") as folder:
        copy = Path(folder) / DATABASE
        with closing(sqlite3.connect(database.file)) as ours, closing(sqlite3.connect(copy)) as its:
            ours.backup(its)
            its.execute("PRAGMA journal_mode = DELETE")
        snapshot = open_database(f"sqlite:///{copy}")
        try:
            keeping = Keeping(snapshot)
            keeping.let_rest()
            with new_file(target) as partial, tarfile.open(partial, "w") as archive:
                for path in sorted(keeping.paths()):
                    if not _add(archive, settings.home, path):
                        # It went after the database was copied.
                        keeping.forget_checkpoint(path)
                archive.add(copy, DATABASE)
        finally:
            snapshot.close()
    return {"path": str(target), "sha256": file_sha256(target), "bytes": target.stat().st_size}


def restore(settings: Settings, source: Path) -> dict[str, Any]:
    """Makes a lab at ``settings.home`` of a backup; its path. What was running is queued.

    Raises StateError where a lab is there already, and DataError for what is no backup.
    """
    home = settings.home
    if home.exists() and any(home.iterdir()):
        raise StateError(
            "the lab's folder is not empty",
            where=str(home),
            remedy="set SDLAB_HOME to a new folder, or move this one away first",
        )
    home.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=home, prefix=".restore-") as folder:
            with tarfile.open(source) as archive:
                # Names that lead out of the folder are refused, whoever wrote the file.
                archive.extractall(folder, filter="data")
            with closing(sqlite3.connect(f"file:{folder}/{DATABASE}?mode=rw", uri=True)) as copy:
                (verdict,) = copy.execute("PRAGMA integrity_check").fetchone()
            if verdict != "ok":
                raise DataError("its database is damaged", where=str(source))
            # The database last: without it, the folder is no lab yet.
            for path in sorted(Path(folder).iterdir(), key=lambda path: path.name == DATABASE):
                path.rename(home / path.name)
    except (tarfile.TarError, sqlite3.Error) as error:
        raise DataError(
            f"it is no backup of a lab ({error})",
            where=str(source),
            remedy="name a file that sdlab backup has written",
        ) from error
    return {"home": str(home)}


def _add(archive: tarfile.TarFile, home: Path, path: str) -> bool:
    try:
        archive.add(home / path, path)
    except FileNotFoundError:
        return False
    return True
