"""Tasks and runs as plain documents: what the command line prints and the pages show."""

from __future__ import annotations

import math
from typing import Any

from backend.jobs.tasks import StoredTask
from storage.artifacts import Artifacts
from storage.database import Database
from storage.evaluations import Evaluations
from storage.metrics import Metrics
from storage.models import Evaluation, Run, Task, TaskVersion
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
    }


def run_document(database: Database, run: Run) -> Document:
    """RUN of the command line's contract, and what the pages show besides."""
    artifacts = Artifacts(database)
    task = Tasks(database).of_version(run.task_version_id) if run.task_version_id else None
    return {
        "id": run.id,
        "name": run.name,
        "kind": run.kind,
        "state": run.state,
        "method": run.method,
        "task": task.name if task else run.config.get("task"),
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
            for key, value in Metrics(database).latest(run.id).items()
        },
        "evaluations": [
            evaluation_document(found) for found in Evaluations(database).of_run(run.id)
        ],
        "checkpoints": [
            {"step": point.step, "sha256": point.sha256, "bytes": point.bytes}
            for point in artifacts.checkpoints(run.id)
        ],
        "artifacts": [
            {"id": found.id, "kind": found.kind, "sha256": found.sha256, "bytes": found.bytes}
            for found in artifacts.of_run(run.id)
        ],
        "error": run.error,
        "attempt": run.attempt,
        "config": run.config,
        "result": run.result or {},
        "group": run.group_id,
        "log": run.log_path,
        "created_at": run.created_at.isoformat(),
        "events": [
            {"at": event.at.isoformat(), "level": event.level, "message": event.message}
            for event in Runs(database).events(run.id)
        ],
    }
