"""Tasks and their versions as their page lists them: sizes, origins, and the jobs on each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from backend.jobs.documents import Document, version_document
from backend.views.task_rows import find_version
from storage.database import Database
from storage.models import Run, TaskVersion
from storage.runs import Runs
from storage.task_rows import stored_bytes
from storage.tasks import Tasks

_LISTED_RUNS: Final = 6


class TaskLists:
    """Lists of tasks; sizes are asked for once, as versions never change."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._bytes: dict[str, int] = {}

    def tasks(self) -> list[Document]:
        """Every task at its newest version, with the jobs that worked on any of them."""
        tasks = Tasks(self._database)
        by_task = [(task, tasks.versions(task.id)) for task in tasks.all()]
        self._measure([versions[-1] for _, versions in by_task])
        return [
            {
                "name": task.name,
                **self._version(versions[-1]),
                "versions": len(versions),
                **self._runs(versions),
            }
            for task, versions in by_task
        ]

    def opened(self, name: str, number: str = "") -> Document:
        """A version with its report, its sisters, and the jobs on each. Raises NotFound."""
        stored = find_version(self._database, name, number)
        versions = Tasks(self._database).versions(stored.task.id)
        self._measure(versions)
        return {
            **version_document(stored),
            "bytes": self._bytes.get(stored.version.id, 0),
            "versions": [
                {
                    **self._version(version),
                    "origin": version.origin or {},
                    **self._runs([version]),
                }
                for version in versions
            ],
            "is_newest": stored.version.number == versions[-1].number,
            **self._runs([stored.version]),
        }

    def _version(self, version: TaskVersion) -> Document:
        return {
            "version": version.number,
            "rows": {"training": version.training, "held_out": version.held_out},
            "bytes": self._bytes.get(version.id, 0),
            "scorer": version.scorer,
            "created_at": version.created_at.isoformat(),
        }

    def _measure(self, versions: Sequence[TaskVersion]) -> None:
        unknown = [version.id for version in versions if version.id not in self._bytes]
        if unknown:
            self._bytes |= stored_bytes(self._database, unknown)

    def _runs(self, versions: Sequence[TaskVersion]) -> Document:
        """The newest jobs on these versions, and how many there are besides."""
        numbers = {version.id: version.number for version in versions}
        found = Runs(self._database).of_versions(list(numbers))
        shown = [_run(run, numbers) for run in found[:_LISTED_RUNS]]
        return {"runs": shown, "runs_left_off": len(found) - len(shown)}


def _run(run: Run, numbers: dict[str, int]) -> dict[str, Any]:
    return {
        "id": run.id,
        "name": run.name,
        "kind": run.kind,
        "state": run.state,
        "version": numbers[run.task_version_id or ""],
    }
