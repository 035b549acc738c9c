"""Tasks and runs as plain documents: what the command line prints and the pages show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from backend.jobs.tasks import StoredTask
from storage.artifacts import Artifacts
from storage.database import Database
from storage.evaluations import Evaluations
from storage.metrics import Metrics
from storage.models import Artifact, Checkpoint, Evaluation, Event, Run, Task, TaskVersion
from storage.runs import Runs
from storage.tasks import Tasks

Document = dict[str, Any]


def version_document(stored: StoredTask) -> Document:
    """One version of a task, with its report."""
    version = stored.version
    return {
        "id": version.id,
        "name": stored.task.name,
        "version": version.number,
        "rows": {"training": version.training, "held_out": version.held_out},
        "scorer": version.scorer,
        "content_hash": version.content_hash,
        "mapping": version.mapping,
        "split": version.split,
        "report": version.report,
        "created_at": version.created_at.isoformat(),
    }


def task_document(database: Database, task: Task) -> Document:
    """A task with all its versions, oldest first."""
    versions: list[TaskVersion] = Tasks(database).versions(task.id)
    documents = [version_document(StoredTask(task, version)) for version in versions]
    return {"id": task.id, "name": task.name, "versions": documents}


def evaluation_document(evaluation: Evaluation) -> Document:
    """EVALUATION of the command line's contract."""
    return {
        "id": evaluation.id,
        "probe": evaluation.probe,
        "metric": evaluation.metric,
        "step": evaluation.step,
        "score": evaluation.score,
        "n": evaluation.n,
        "low": evaluation.low,
        "high": evaluation.high,
        "subset": evaluation.subset,
        "failed": evaluation.details.get("failed", 0),
    }


def item_documents(database: Database, evaluation_id: str) -> list[Document]:
    """The items behind a score, and those that have none, with their reasons."""
    evaluations = Evaluations(database)
    found = evaluations.get(evaluation_id)
    failures = found.details.get("failures", []) if found else []
    scored = [
        {
            "id": item.item_id,
            "prompt": item.prompt,
            "expected": item.expected,
            "answer": item.answer,
            "score": item.score,
            "reason": item.reason,
        }
        for item in evaluations.items(evaluation_id)
    ]
    failed = [{"id": f["item_id"], "score": None, "reason": f["reason"]} for f in failures]
    return scored + failed


def run_document(database: Database, home: Path, run: Run) -> Document:
    """RUN of the command line's contract, and what the pages show besides."""
    return run_documents(database, home, [run])[0]


def run_documents(database: Database, home: Path, runs: Sequence[Run]) -> list[Document]:
    """The documents of runs, in the same number of queries however many there are."""
    ids = [run.id for run in runs]
    artifacts = Artifacts(database)
    found = _Found(
        Tasks(database).names([run.task_version_id for run in runs if run.task_version_id]),
        Metrics(database).latest_of(ids),
        Evaluations(database).of_runs(ids),
        artifacts.checkpoints_of_runs(ids),
        artifacts.of_runs(ids),
        Runs(database).events_of_runs(ids),
    )
    return [_run_document(run, found, home) for run in runs]


class _Found(NamedTuple):
    """What belongs to runs, by the run's id; names of tasks by that of their version."""

    tasks: Mapping[str, str]
    metrics: Mapping[str, Mapping[str, float]]
    evaluations: Mapping[str, Sequence[Evaluation]]
    checkpoints: Mapping[str, Sequence[Checkpoint]]
    artifacts: Mapping[str, Sequence[Artifact]]
    events: Mapping[str, Sequence[Event]]


def _run_document(run: Run, found: _Found, home: Path) -> Document:
    return {
        "id": run.id,
        "name": run.name,
        "kind": run.kind,
        "state": run.state,
        "method": run.method,
        "task": found.tasks.get(run.task_version_id or "", run.config.get("task")),
        "model": run.model,
        "progress": {
            "step": run.step,
            "total": run.total_steps,
            "eta_s": run.eta_s,
            "phase": run.phase,
        },
        # NaN, as a run that diverged ends with, is no JSON.
        "metrics": {
            key: value if math.isfinite(value) else None
            for key, value in found.metrics[run.id].items()
        },
        "evaluations": [evaluation_document(each) for each in found.evaluations[run.id]],
        "checkpoints": [
            {"step": point.step, "sha256": point.sha256, "bytes": point.bytes}
            for point in found.checkpoints[run.id]
        ],
        "artifacts": [
            {"id": each.id, "kind": each.kind, "sha256": each.sha256, "bytes": each.bytes}
            for each in found.artifacts[run.id]
        ],
        "error": run.error,
        "attempt": run.attempt,
        "config": run.config,
        "result": run.result or {},
        "group": run.group_id,
        "after": run.after_run_id,
        "log": str((home / run.log_path).absolute()) if run.log_path else None,
        "created_at": run.created_at.isoformat(),
        "events": [
            {"at": event.at.isoformat(), "level": event.level, "message": event.message}
            for event in found.events[run.id]
        ],
    }
