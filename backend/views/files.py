"""Files that a browser may download: those the lab has registered, found by id only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backend.errors import NotFound
from backend.settings import Settings
from storage.artifacts import Artifacts
from storage.database import Database


@dataclass(frozen=True)
class StoredFile:
    """A file of the lab, and the name under which a browser should save it."""

    path: Path
    name: str


def artifact_file(database: Database, settings: Settings, artifact: str) -> StoredFile:
    """The file of an artifact. Raises NotFound where id or file is unknown, or it is no file.

    The path comes from the table, never from the request; one that leads out of SDLAB_HOME all
    the same (a link that somebody put there) is not served.
    """
    found = Artifacts(database).get(artifact)
    home = settings.home.resolve()
    path = (home / found.path).resolve() if found else None
    if found is None or path is None or not path.is_relative_to(home) or not path.is_file():
        raise NotFound("there is no such file", where="artifact", remedy="see the run's page")
    name = f"{found.kind}-{found.run_id or found.id}{path.suffix}"
    return StoredFile(path, name)
