"""What the lab takes on disk, run by run; runs that go for good, and files nothing refers to."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from backend.atomic import size_of
from backend.errors import StateError
from backend.jobs import archives, backups
from backend.jobs.queue import find_run
from backend.jobs.work.context import run_folder
from backend.settings import Settings
from storage.artifacts import Artifacts
from storage.database import Database
from storage.keeping import Keeping
from storage.models import FINAL, Run
from storage.runs import Runs

# A file is written before its row is; what is younger may be on its way.
_SETTLED_S: Final = 3600
Document = dict[str, Any]


class LabKeeping:
    """The lab's verbs on what it keeps."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    def sizes(self) -> Document:
        """Bytes of the lab's parts, and of each run's checkpoints, artifacts, traces and rest."""
        home = self._settings.home
        file = self._database.file
        return {
            "database": file.stat().st_size if file is not None and file.exists() else None,
            "uploads": size_of(home / "uploads"),
            "models": size_of(home / "models"),
            "unused": sum(size_of(path) for path in self._unused()),
            "free": shutil.disk_usage(home).free,
            "runs": self._runs(Runs(self._database).all()),
        }

    def delete(self, names: Sequence[str], *, preview: bool = True) -> Document:
        """What goes with these runs, and their going unless it is a preview.

        Raises NotFound, and StateError for runs that have not ended or that others wait for.
        """
        runs = [find_run(self._database, name) for name in names]
        self._check(runs)
        document = {"deleted": not preview, "runs": self._runs(runs)}
        for run in runs if not preview else ():
            # The rows first: a folder without a run is collected, a run without its folder is not.
            if not Keeping(self._database).remove(run.id):
                raise _still_used(run, "it was queued again meanwhile")
            shutil.rmtree(run_folder(self._settings, run.id), ignore_errors=True)
        return document

    def archive(self, names: Sequence[str], *, preview: bool = True) -> Document:
        """Packs these runs' checkpoints and traces away unless it is a preview; ``packed`` bytes.

        Raises as delete does, and StateError for a run that has nothing to pack.
        """
        runs = [find_run(self._database, name) for name in names]
        self._check(runs)
        for run in runs:
            archives.check_not_archived(self._database, run.id)
        document: Document = {"archived": not preview, "runs": self._runs(runs)}
        for run, found in zip(runs, document["runs"] if not preview else (), strict=False):
            found["packed"] = archives.archive(self._database, self._settings, run)
        return document

    def unarchive(self, name: str) -> Document:
        """Puts an archived run's checkpoints and traces back. Raises StateError and DataError."""
        run = find_run(self._database, name)
        archives.unarchive(self._database, self._settings, run)
        return self._runs([run])[0]

    def collect(self, *, preview: bool = True) -> Document:
        """The files that nothing refers to, and their going unless it is a preview."""
        unused = list(self._unused())
        found = [
            {"path": path.relative_to(self._settings.home).as_posix(), "bytes": size_of(path)}
            for path in unused
        ]
        for path in unused if not preview else ():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        return {"deleted": not preview, "files": found}

    def backup(self, target: Path) -> Document:
        """Copies the lab, in use or not, into a TAR file. Raises StateError where it cannot."""
        return backups.backup(self._database, self._settings, target.expanduser())

    def _runs(self, runs: Sequence[Run]) -> list[Document]:
        ids = [run.id for run in runs]
        files = Artifacts(self._database)
        points, made = files.checkpoints_of_runs(ids), files.of_runs(ids)
        traces = Keeping(self._database).trace_bytes()
        return [
            {
                "id": run.id,
                "name": run.name,
                "state": run.state,
                "checkpoints": [{"step": p.step, "bytes": p.bytes} for p in points[run.id]],
                "artifacts": [{"kind": a.kind, "bytes": a.bytes} for a in made[run.id]],
                "traces": traces.get(run.id, 0),
                "folder": size_of(run_folder(self._settings, run.id)),
            }
            for run in runs
        ]

    def _check(self, runs: Sequence[Run]) -> None:
        going = {run.id for run in runs}
        for run in runs:
            if run.state not in FINAL:
                raise _still_used(run, f"it is {run.state}")
        for other in Runs(self._database).all():
            needs = {other.after_run_id, other.config.get("start_from"), other.config.get("run")}
            for run in runs:
                if run.id in needs and other.id not in going and other.state not in FINAL:
                    raise _still_used(run, f"{other.name} ({other.id[:8]}) goes on from it")

    def _unused(self) -> Iterator[Path]:
        """What has lain in uploads/ and runs/ for an hour, and has no row in the database."""
        home = self._settings.home
        known = Keeping(self._database).paths()
        ended = {run.id: run.state in FINAL for run in Runs(self._database).all()}
        found = [*(home / "uploads").glob("*"), *(home / "runs").glob("*")]
        for run_id, has_ended in ended.items():
            # What lies there of a run at work may be about to get its row.
            found += (home / "runs" / run_id).glob("checkpoints/*") if has_ended else ()
        for path in sorted(found):
            is_known = path.relative_to(home).as_posix() in known or path.name in ended
            if not is_known and time.time() - path.stat().st_mtime > _SETTLED_S:
                yield path


def _still_used(run: Run, reason: str) -> StateError:
    return StateError(
        f"{run.name} cannot be deleted: {reason}",
        where=f"run {run.id}",
        remedy=f"wait, or stop it first with: sdlab stop {run.id[:8]}",
    )
