"""The verbs of the lab that are about tasks; Lab has them as its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backend.data.load import Loading, Watch, unwatched
from backend.data.mapping import parse_overrides
from backend.data.split import HeldOut, Together, parse_held_out
from backend.jobs.documents import Document, task_document, version_document
from backend.jobs.task_edits import edit_task, write_task
from backend.jobs.tasks import (
    NewTask,
    add_bundled_tasks,
    add_task,
    choose_scorer,
    export_task,
    find_task,
    write_faulty_rows,
)
from backend.settings import Settings
from storage.database import Database
from storage.tasks import Tasks


class TaskVerbs:
    """Adding, editing, listing and exporting tasks."""

    database: Database
    settings: Settings

    def add_task(
        self,
        path: Path,
        name: str,
        *,
        columns: Sequence[str] = (),
        scorer: str = "exact",
        scorer_options: str = "",
        held_out: str | HeldOut = "auto",
        together: Together = "group",
        seed: int = 0,
        keep_good: bool = False,
        faulty_to: Path | None = None,
        watch: Watch = unwatched,
    ) -> Document:
        """Stores a file of demonstrations as a version of a task, all or nothing.

        ``columns`` are mappings like ``prompt=question``; ``held_out`` is a share, a number of
        rows, ``tag=NAME``, ``group=NAME``, a file, or ``auto``: the file's own split, else 0.2;
        or such a value itself.
        ``scorer`` is NAME, NAME:VALUE or NAME:{...}, with more parameters in ``scorer_options``.
        Rows of one group or first tag stay ``together``. Faulty rows go to the file ``faulty_to``,
        and what ``watch`` raises ends it all. Raises DataError, with a report of faulty rows.
        """
        loading = Loading(
            overrides=parse_overrides(columns),
            held_out=_held_out(held_out),
            together=together,
            seed=seed,
            keep_good=keep_good,
            scorer=choose_scorer(scorer, scorer_options) if scorer_options else scorer,
            faulty_to=faulty_to,
            watch=watch,
        )
        new = NewTask(name, path, loading)
        added = add_task(self.database, self.settings, new)
        document = version_document(added.stored)
        return document | {"report": added.report.model_dump(mode="json"), "is_new": added.is_new}

    def edit_task(
        self, name: str, changes: Mapping[str, Any], watch: Watch = unwatched
    ) -> Document:
        """A new version with rows left out, changed and added: ``{"exclude": [3], "change": {4:
        {"demonstration": "..."}}, "add": [{"prompt": "...", "demonstration": "..."}]}``.

        Places count from 1, training rows first. What ``watch`` raises ends it, and nothing is
        stored. Raises NotFound and DataError.
        """
        added = edit_task(self.database, self.settings, name, changes, watch)
        return version_document(added.stored) | {"is_new": added.is_new}

    def write_task(
        self,
        name: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        scorer: str = "exact",
        held_out: str | HeldOut = "auto",
        seed: int = 0,
    ) -> Document:
        """A task from rows that were written by hand. Raises DataError as a file of them would."""
        loading = Loading(held_out=_held_out(held_out), seed=seed, scorer=scorer)
        added = write_task(self.database, self.settings, name, rows, loading)
        document = version_document(added.stored)
        return document | {"report": added.report.model_dump(mode="json"), "is_new": added.is_new}

    def write_faulty_rows(
        self, path: Path, target: Path, name: str = "task", *, columns: Sequence[str] = ()
    ) -> Document:
        """Writes a file's faulty rows as JSONL, each with what is wrong; stores nothing."""
        loading = Loading(overrides=parse_overrides(columns))
        new = NewTask(name, path, loading)
        return write_faulty_rows(self.database, self.settings, new, target)

    def add_bundled_tasks(self) -> list[Document]:
        """The three tasks that ship with the lab."""
        return [version_document(s) for s in add_bundled_tasks(self.database, self.settings)]

    def tasks(self) -> list[Document]:
        """All tasks with their versions."""
        return [task_document(self.database, task) for task in Tasks(self.database).all()]

    def task(self, name: str) -> Document:
        """One task. Raises NotFound."""
        return task_document(self.database, find_task(self.database, name).task)

    def export_task(self, name: str, target: Path) -> Document:
        """Writes a task's rows, training rows first, as JSONL, or as CSV by the file's ending."""
        return export_task(self.database, name, target)


def _held_out(given: str | HeldOut) -> HeldOut:
    return parse_held_out(given) if isinstance(given, str) else given
