"""What the pages read: the lab's tables as documents small enough to poll."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from backend.data.hub import fetch_into, fetched_before
from backend.data.load import Loading, Watch, unwatched
from backend.data.looking import Looks
from backend.data.mapping import parse_overrides
from backend.data.split import HeldOut, Together
from backend.jobs.documents import Document
from backend.jobs.task_edits import task_difference
from backend.jobs.tasks import NewTask, check_names, preview_file
from backend.settings import Settings
from backend.views.curves import loss_lines, metric_curves
from backend.views.files import StoredFile, artifact_file
from backend.views.forgetting import (
    changed_items,
    forgetting_document,
    scored_runs,
    scores_version,
)
from backend.views.forgetting_words import cautions, other_changes, other_differences
from backend.views.launching import known_models, newest_premise
from backend.views.logs import read_log
from backend.views.prompts import Request, prompt_document
from backend.views.sequence_words import sequence_words
from backend.views.sequences import sequence_list, sequence_view
from backend.views.status import lab_status
from backend.views.task_changes import task_changes
from backend.views.task_files import RowsFile, rows_file
from backend.views.task_leaks import newest_leaks
from backend.views.task_lengths import LengthLists, LengthsRequest
from backend.views.task_rows import RowLists, RowsRequest, row_fields
from backend.views.task_versions import TaskLists
from backend.views.tasks import (
    check_upload,
    interval_widths,
    sample_file,
    scorer_names,
)
from backend.views.traces import trace_index, trace_tokens, traced_runs
from backend.views.workers import worker_document
from storage.database import Database
from storage.runs import Runs
from storage.tasks import Tasks


class Views:
    """Read-only views of one lab, as ``lab.views`` gives them."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._tasks, self._rows = TaskLists(database), RowLists(database)
        self._lengths = LengthLists(database, settings)
        self._looks = Looks()

    def status(self) -> Document:
        """What the lab is doing: its slots, its queue, and who supervises it."""
        return lab_status(self._database)

    def count_runs(self) -> int:
        """How many jobs the lab has."""
        return Runs(self._database).count()

    def group(self, group: str) -> list[str]:
        """The ids of the runs that were launched together, oldest first."""
        runs = Runs(self._database).all(group_id=group)
        return [run.id for run in reversed(runs) if run.kind == "train"]

    def metrics(self, run: str, keys: Sequence[str] = ()) -> dict[str, list[list[float | None]]]:
        """(step, value) points of a run's curves, all of them or those named; NaN is None."""
        return metric_curves(self._database, run, keys)

    def losses(self, runs: Sequence[str]) -> dict[str, list[float | None]]:
        """The loss of each run, thinned to a line of at most 60 points."""
        return loss_lines(self._database, runs)

    def worker(self, run: str) -> Document:
        """How a run's worker is doing: its last beat, its pace, and what it takes."""
        return worker_document(self._database, run)

    def log(self, run: str, lines: int = 200, find: str = "", level: str = "") -> str:
        """The end of a run's log, or its entries with ``find`` of ``level`` and above."""
        return read_log(self._database, self._settings, run, lines, find, level)

    def file(self, artifact: str) -> StoredFile:
        """The stored file behind an artifact's id, for a download. Raises NotFound."""
        return artifact_file(self._database, self._settings, artifact)

    def tasks(self) -> list[Document]:
        """Every task at its newest version, with the jobs that worked on it."""
        return self._tasks.tasks()

    def task_names(self) -> list[str]:
        """The names of all tasks, in the order of :meth:`tasks`."""
        return [task.name for task in Tasks(self._database).all()]

    def task(self, name: str, version: str = "") -> Document:
        """A version with its report, its sisters and the jobs on each. Raises NotFound."""
        return self._tasks.opened(name, version)

    def task_rows(
        self,
        name: str,
        version: str = "",
        part: str = "",
        page: int = 1,
        *,
        sort: str = "row",
        find: str = "",
        watch: Watch = unwatched,
    ) -> Document:
        """A page of a version's rows, or of those with a text. Raises NotFound, ConfigError."""
        return self._rows.page(RowsRequest(name, version, part, page, sort, find), watch)

    def task_row(self, name: str, version: str, place: int) -> Document:
        """A whole row as it can be changed by hand. Raises NotFound."""
        return row_fields(self._database, name, version, place)

    def task_file(self, version_id: str) -> RowsFile:
        """A version's rows as JSONL for a download. Raises NotFound."""
        return rows_file(self._database, version_id)

    def task_changes(self, before: str, after: str, watch: Watch = unwatched) -> Document:
        """:meth:`task_difference` with the words that changed marked. Raises NotFound."""
        return task_changes(self._database, before, after, watch)

    def task_leaks(self, name: str, version: str = "") -> Document:
        """A version's newest ``search`` for near-duplicates, or None. Raises NotFound."""
        return newest_leaks(self._database, name, version)

    def task_lengths(
        self, task: str, version: str, *, model: str, context: str, new_tokens: int
    ) -> Document:
        """Lengths in tokens, and rows too long for a limit. Raises NotFound and ModelError."""
        return self._lengths.document(LengthsRequest(task, version, model, context, new_tokens))

    def prompts(self, task: str, version: str, place: int, *, model: str, context: str) -> Document:
        """A row as student and teacher read it. Raises NotFound, ConfigError, ModelError."""
        request = Request(task, version, place, model, context)
        return prompt_document(self._database, self._settings, request)

    def check_names(self, name: str, scorer: str) -> None:
        """Raises DataError, whose ``where`` is ``name`` or ``scorer``."""
        check_names(name, scorer)

    def preview(self, path: Path, name: str = "", columns: Sequence[str] = ()) -> Document:
        """Format, shape, mapping with reasons and first rows of a file, or of ``hub:owner/name``.

        A mapping that the task's files with the same columns were read by is taken again
        (``as_in``), that of another task's is ``offered``. A file that was looked at before is not
        read again.
        Raises DataError where it cannot be read.
        """
        overrides = parse_overrides(columns)
        return preview_file(self._database, self._settings, path, name, overrides, self._looks)

    def fetch_dataset(
        self, name: str, place: Path, told: Callable[[int, int], None] = lambda done, total: None
    ) -> None:
        """Brings ``owner/name`` of the hub into ``place``; ``told`` hears of files, and may raise.

        Raises DataError.
        """
        fetch_into(name, place, self._settings.max_upload_mib, told)

    def fetched_dataset(self, name: str, place: Path) -> Path | None:
        """The folder that :meth:`fetch_dataset` made. Raises DataError for no dataset's name."""
        return fetched_before(name, place)

    def task_difference(self, before: str, after: str) -> Document:
        """What changed from one version to another, as ``lights@1`` and ``lights@2``."""
        return task_difference(self._database, before, after)

    def check_upload(
        self,
        path: Path,
        name: str,
        *,
        columns: Sequence[str] = (),
        scorer: str = "exact",
        held_out: HeldOut = None,
        together: Together = "group",
        seed: int = 0,
        keep_good: bool = False,
        faulty_to: Path | None = None,
        watch: Watch = unwatched,
    ) -> Document:
        """What ``lab.add_task`` would store; writes nothing but faulty rows. Raises as it would."""
        loading = Loading(
            overrides=parse_overrides(columns),
            held_out=held_out,
            together=together,
            seed=seed,
            keep_good=keep_good,
            scorer=scorer,
            faulty_to=faulty_to,
            watch=watch,
        )
        return check_upload(self._database, self._settings, NewTask(name, path, loading))

    def scorers(self) -> list[str]:
        """The scorers that a task can have."""
        return scorer_names()

    def sample(self) -> str:
        """A JSONL file of demonstrations to start one's own from."""
        return sample_file()

    def intervals(self, counts: Sequence[int]) -> list[Document]:
        """The 95 % interval of a score of one half, for each number of held-out rows."""
        return interval_widths(counts)

    def models(self) -> list[str]:
        """Names of the models that this lab knows: the bundled ones, and those of its jobs."""
        return known_models(self._database)

    def premise(self, task: str, model: str, context: str = "") -> Document:
        """The newest premise on a task version and a model. Raises NotFound, ModelError."""
        return newest_premise(self._database, self._settings, task, model, context)

    def traced_runs(self) -> list[Document]:
        """The runs that have traces, newest first."""
        return traced_runs(self._database)

    def trace_index(
        self,
        run: str,
        step: int | None = None,
        trace: str | None = None,
        sort: str = "divergence",
        show: str = "all",
        find: str = "",
    ) -> Document:
        """The traces of one step of a run, and which to show. Raises NotFound, ConfigError."""
        return trace_index(self._database, run, step, trace, sort, show, find)

    def trace_tokens(self, trace: str) -> Document:
        """One trace, token by token, as parallel arrays. Raises NotFound."""
        return trace_tokens(self._database, self._settings, trace)

    def sequences(self) -> list[Document]:
        """The newest sequences of tasks, newest first."""
        return sequence_list(self._database)

    def sequence(self, name: str) -> Document:
        """A sequence with each arm's matrix, by id or its beginning. Raises NotFound."""
        return sequence_view(self._database, name)

    def sequence_words(self, sequence: Document) -> Document:
        """What :meth:`sequence` found and cannot tell, in sentences."""
        return sequence_words(self._database, sequence)

    def scored_runs(self) -> list[Document]:
        """The training runs that have scores, oldest first."""
        return scored_runs(self._database)

    def scores_version(self, runs: Sequence[str]) -> str:
        """Changes whenever one of the runs has a new score or another state."""
        return scores_version(self._database, runs)

    def forgetting(self, runs: Sequence[str]) -> Document:
        """Scores over steps and paired changes of runs, probe by probe. Raises NotFound."""
        return forgetting_document(self._database, runs)

    def changed_items(self, runs: Sequence[str], probe: str) -> list[Document]:
        """The items of a probe that each run forgot, and those that it learned."""
        return changed_items(self._database, runs, probe)

    def forgetting_words(
        self, document: Document, compared: Document | None, found: Sequence[str]
    ) -> Document:
        """``found`` with the differences it leaves out, and what the numbers cannot tell."""
        return {
            "found": [*found, *other_changes(document), *other_differences(document, compared)],
            "cautions": cautions(document, compared),
        }
