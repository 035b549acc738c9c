"""The verbs of the lab: the only door for command line, pages and notebooks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from backend.config import RunConfig
from backend.data.load import Progress, Watch, unwatched
from backend.data.split import Chosen, HeldOut, Together
from backend.jobs import backups, queue
from backend.jobs.comparison import compare_runs
from backend.jobs.documents import (
    Document,
    item_documents,
    run_document,
    run_documents,
)
from backend.jobs.estimates import estimate_run
from backend.jobs.examples import example_premise
from backend.jobs.export_jobs import check_target, export_run, take_export
from backend.jobs.exports import check_format, export_adapter
from backend.jobs.findings import findings
from backend.jobs.health import check_health
from backend.jobs.holders import server_address
from backend.jobs.keeping import LabKeeping
from backend.jobs.launchers import Launcher
from backend.jobs.launches import configure_run, evaluation_run, premise_run, training_run
from backend.jobs.leaks import leaks_run
from backend.jobs.premise_gate import check_gate, standing
from backend.jobs.queue import find_run
from backend.jobs.queue_order import QueueOrder
from backend.jobs.replays import replay_run
from backend.jobs.sequences import (
    estimate_sequence,
    find_sequence,
    sequence_document,
    start_sequence,
)
from backend.jobs.supervisor import Supervisor
from backend.jobs.task_verbs import TaskVerbs
from backend.jobs.trace_documents import trace_documents
from backend.jobs.trying import try_scorer
from backend.jobs.waiting import Told, tell_nobody, wait_for
from backend.settings import Settings
from backend.views import Views
from storage.database import Database
from storage.models import Run, new_id
from storage.runs import Runs

# What commands and pages give to the verbs and hear from them.
__all__ = [
    "Chosen", "HeldOut", "Lab", "Progress", "Together", "Watch", "examine", "unwatched",
]  # fmt: skip


def examine(settings: Settings) -> Document:
    """What this machine and the lab at ``settings.home`` look like; makes no lab."""
    return {"checks": [asdict(check) for check in check_health(settings)]}


def restore_lab(settings: Settings, backup: Path) -> Document:
    """Makes a lab at ``settings.home`` of a backup. Raises StateError and DataError."""
    return backups.restore(settings, backup)


class Lab(TaskVerbs):
    """One lab, as ``from sdlab import Lab`` gives it; made by backend.bootstrap.build_lab."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        launcher: Launcher,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.database = database
        self.views = Views(database, settings)
        self.queue = QueueOrder(database, settings)
        self.keeping = LabKeeping(database, settings)
        self._launcher = launcher
        self._clock = clock

    def close(self) -> None:
        """Gives the database's connections back; running workers go on."""
        self.database.close()

    def try_scorer(
        self, task: str, row: int, answer: str, scorer: str = "", options: str = ""
    ) -> Document:
        """Score and reason of an answer to a row (from 1), by the task's scorer or another."""
        return try_scorer(self.database, self.settings, task, row, answer, scorer, options)

    def configure(
        self, document: Mapping[str, Any], *, baseline: str | None = None
    ) -> list[RunConfig]:
        """The checked configuration, and its baseline's: the same but for the method's choices.

        The task's version and the model's folder are pinned, so that a worker finds what was
        checked. Raises ConfigError, NotFound and ModelError before anything is queued.
        """
        return configure_run(self.database, self.settings, document, baseline)

    def estimate(self, config: RunConfig, *, forced: bool = False) -> Document:
        """Time and memory that a run will take here.

        Raises ModelError where it cannot work, and ConfigError where it takes days, unless forced.
        """
        return estimate_run(self.database, self.settings, config, forced=forced)

    def premise_words(self, config: RunConfig) -> str:
        """What is known of a run's premise, in a sentence; empty for a run that rests on none."""
        found = standing(self.database, config)
        return "" if found is None else found.words

    def check_gate(self, configs: Sequence[RunConfig]) -> None:
        """Raises StateError for a run whose premise was found to be no-go, unless ``anyway``."""
        check_gate(self.database, configs)

    def train(self, configs: Sequence[RunConfig], group: str | None = None) -> list[str]:
        """Queues training runs in this order; returns their ids. Raises as :meth:`check_gate`."""
        self.check_gate(configs)
        group = group or (new_id() if len(configs) > 1 else None)
        return self._enqueue(*(training_run(self.database, config, group) for config in configs))

    def premise(self, document: Mapping[str, Any], group: str | None = None) -> str:
        """Queues a premise check; returns its id."""
        return self._enqueue(premise_run(self.database, self.settings, document, group))[0]

    def example_premise(self, example: str, path: Path, document: Mapping[str, Any]) -> str:
        """Queues a paper's premise check on its own file, which becomes a task; returns its id."""
        made = example_premise(self.database, self.settings, example, path)
        return self.premise({**made, **document})

    def evaluate(self, subject: str, document: Mapping[str, Any]) -> str:
        """Queues an evaluation of a run or a base model; returns its id."""
        return self._enqueue(evaluation_run(self.database, self.settings, subject, document))[0]

    def replay(self, run: str, step: int) -> str:
        """Queues the recomputing of a run's step; the job's result says whether it is equal."""
        return self._enqueue(replay_run(self.database, self.settings, run, step))[0]

    def start_leak_search(self, task: str) -> str:
        """Queues a search for held-out rows that nearly stand among the training rows; its id."""
        return self._enqueue(leaks_run(self.database, task))[0]

    def stop(self, run: str) -> Document:
        """Asks a run to end at its next step, with a checkpoint. Raises NotFound, StateError."""
        return self._document(queue.stop(self.database, self._run(run).id))

    def resume(self, run: str) -> Document:
        """Queues an ended run again; it goes on from its last checkpoint."""
        return self._document(queue.resume(self.database, self.settings, self._run(run).id))

    def runs(self, limit: int | None = None) -> list[Document]:
        """All jobs, newest first; at most ``limit`` of them."""
        return run_documents(
            self.database, self.settings.home, Runs(self.database).all(limit=limit)
        )

    def run(self, name: str) -> Document:
        """One job by id, the beginning of one, or a name that only it has. Raises NotFound."""
        return self._document(self._run(name))

    def traces(self, name: str, step: int | None = None) -> list[Document]:
        """A run's traces of one step, token by token. Raises NotFound."""
        return trace_documents(self.database, self.settings, self._run(name), step)

    def evaluation_items(self, evaluation: str) -> list[Document]:
        """The items behind a score with their reasons; of those without a score the first 20."""
        return item_documents(self.database, evaluation)

    def compare(self, names: Sequence[str]) -> Document:
        """The first run against the others, on the items that both answered."""
        return compare_runs(self.database, [self._run(name) for name in names])

    def findings(self, names: Sequence[str]) -> list[str]:
        """What runs on one task gained and lost, the last against the others, in sentences."""
        return findings(self.database, [self._run(name) for name in names])

    def estimate_sequence(self, document: Mapping[str, Any], *, forced: bool = False) -> list[str]:
        """What each arm of a sequence and all of them take here, in words. Raises as estimate."""
        return estimate_sequence(self.database, self.settings, document, forced=forced)

    def start_sequence(self, document: Mapping[str, Any], *, forced: bool = False) -> str:
        """Queues tasks to be learned one after the other, by each arm; the sequence's id.

        The same document again goes on with the same sequence. Raises as configure and estimate.
        """
        return start_sequence(self.database, self.settings, document, forced=forced)

    def sequence(self, name: str) -> Document:
        """A sequence with its arms' runs and matrices, by id or its beginning. Raises NotFound."""
        found = find_sequence(self.database, name)
        return sequence_document(self.database, self.settings.home, found)

    def export(
        self,
        run: str,
        target: Path,
        form: str = "peft",
        checkpoint: int | None = None,
        told: Told = tell_nobody,
    ) -> Document:
        """Writes a run's adapter as a folder or a ZIP file; returns path, sha256 and bytes.

        Other forms than ``peft`` are written by a job, which this waits for.
        """
        check_format(form)
        if form != "peft":
            check_target(target.expanduser(), form)
            (job,) = self.wait([self.start_export(run, form, checkpoint)], told)
            return take_export(self.settings, self._run(job["id"]), target)
        found = self._run(run)
        written = export_adapter(self.database, self.settings, found.id, target, checkpoint)
        return {"path": str(written.path), "sha256": written.sha256, "bytes": written.bytes}

    def start_export(self, run: str, form: str, checkpoint: int | None = None) -> str:
        """Queues the writing of a merged or GGUF model; the job's result names its artifact."""
        return self._enqueue(export_run(self.database, self.settings, run, form, checkpoint))[0]

    def wait(self, ids: Sequence[str], told: Told = tell_nobody) -> list[Document]:
        """Waits until the jobs have ended, telling of all that they do meanwhile.

        Supervises them itself, unless another process supervises this lab already.
        """
        wait_for(self.database, ids, told, lambda ended: self.supervise("sdlab --wait", ended))
        return [self.run(run_id) for run_id in ids]

    def server_address(self) -> str | None:
        """Where a living server has this lab's pages, if one has."""
        return server_address(self.database, self.settings.lease_s)

    def supervise(self, address: str, until: Callable[[], bool]) -> None:
        """Launches queued jobs and watches over workers; those still at work then go on.

        Raises StateError, with its address, where another process supervises this lab.
        """
        supervisor = Supervisor(self.database, self.settings, self._launcher, self._clock)
        supervisor.acquire(address)
        with supervisor:
            supervisor.run_until(until)

    def _enqueue(self, *runs: Run) -> list[str]:
        return [run.id for run in queue.enqueue(self.database, self.settings, *runs)]

    def _document(self, run: Run) -> Document:
        return run_document(self.database, self.settings.home, run)

    def _run(self, name: str) -> Run:
        return find_run(self.database, name)
