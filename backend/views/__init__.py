"""What the pages read: the lab's tables as documents small enough to poll."""

from __future__ import annotations

from collections.abc import Sequence

from backend.config import Settings
from backend.jobs.documents import Document
from backend.views.curves import metric_curves
from backend.views.files import StoredFile, artifact_file
from backend.views.forgetting import (
    changed_items,
    forgetting_document,
    scored_runs,
    scores_version,
)
from backend.views.forgetting_words import cautions, other_differences
from backend.views.logs import log_tail
from backend.views.status import lab_status
from backend.views.traces import trace_index, trace_tokens, traced_runs
from backend.views.workers import worker_document
from storage.database import Database
from storage.runs import Runs


class Views:
    """Read-only views of one lab, as ``lab.views`` gives them."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    def status(self) -> Document:
        """What the lab is doing: its slots, its queue, and who supervises it."""
        return lab_status(self._database)

    def group(self, group: str) -> list[str]:
        """The ids of the runs that were launched together, oldest first."""
        runs = Runs(self._database).all(group_id=group)
        return [run.id for run in reversed(runs) if run.kind == "train"]

    def metrics(self, run: str, keys: Sequence[str] = ()) -> dict[str, list[list[float | None]]]:
        """(step, value) points of a run's curves, all of them or those named; NaN is None."""
        return metric_curves(self._database, run, keys)

    def losses(self, runs: Sequence[str]) -> dict[str, list[float | None]]:
        """The loss of each run, thinned to a line of at most 60 points."""
        return {run: thin_line(self.metrics(run, ["loss"]).get("loss", [])) for run in runs}

    def worker(self, run: str) -> Document:
        """How a run's worker is doing: ``beat_age_s``, ``memory_bytes``, ``step_s``."""
        return worker_document(self._database, run)

    def log(self, run: str, lines: int = 200) -> str:
        """The end of a run's log; empty where there is none."""
        return log_tail(self._database, self._settings, run, lines)

    def file(self, artifact: str) -> StoredFile:
        """The stored file behind an artifact's id, for a download. Raises NotFound."""
        return artifact_file(self._database, self._settings, artifact)

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
    ) -> Document:
        """The traces of one step of a run, and which to show. Raises NotFound, ConfigError."""
        return trace_index(self._database, run, step, trace, sort, show)

    def trace_tokens(self, trace: str) -> Document:
        """One trace, token by token, as parallel arrays. Raises NotFound."""
        return trace_tokens(self._database, self._settings, trace)

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
            "found": [*found, *other_differences(document, compared)],
            "cautions": cautions(document, compared),
        }


def thin_line(points: Sequence[Sequence[float | None]], most: int = 60) -> list[float | None]:
    """The values of a curve, every n-th of them and the last, at most ``most`` and one."""
    every = max(1, -(-len(points) // most))
    thinned = [point[1] for point in points[::every]]
    if points and (len(points) - 1) % every:
        thinned.append(points[-1][1])
    return thinned
