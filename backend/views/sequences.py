"""Sequences of tasks for a reader: each arm's matrix with its intervals, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from backend.jobs.documents import Document, evaluation_document
from backend.jobs.sequences import arm_numbers, find_sequence, measured_cells, state_of_all
from storage.database import Database
from storage.evaluations import Evaluations
from storage.models import Evaluation, Run, TaskSequence
from storage.runs import Runs
from storage.sequences import Sequences

_LISTED: Final = 50
_AT_WORK: Final = ("starting", "running", "cancelling")


def sequence_list(database: Database) -> list[Document]:
    """The newest sequences, newest first."""
    return [_head(sequence) for sequence in Sequences(database).all(limit=_LISTED)]


def sequence_view(database: Database, name: str) -> Document:
    """A sequence whose arms have ``before``, ``after`` (a row a stage) and their numbers.

    A cell is the EVALUATION of one task, or None where it is not measured yet. Raises NotFound
    and ConfigError.
    """
    sequence = find_sequence(database, name)
    plan = sequence.document
    runs = {run.id: run for run in Runs(database).all(group_id=sequence.id)}
    scores = Evaluations(database).of_runs(list(runs), subset=False)
    arms = [
        _arm(arm, [_stage(runs[name], scores[name]) for name in arm["stages"]], plan["tasks"])
        for arm in plan["arms"]
    ]
    every = [stage for arm in arms for stage in arm["stages"]]
    return {
        **_head(sequence),
        "state": state_of_all([stage["state"] for stage in every]),
        "done": sum(stage["state"] == "done" for stage in every),
        "stages": len(every),
        "now": [stage for stage in every if stage["state"] in _AT_WORK],
        "arms": arms,
    }


def _head(sequence: TaskSequence) -> Document:
    plan = sequence.document
    return {
        "id": sequence.id,
        "name": plan["name"],
        "tasks": plan["tasks"],
        "methods": list(dict.fromkeys(arm["method"] for arm in plan["arms"])),
        "created_at": sequence.created_at.isoformat(),
    }


def _stage(run: Run, scores: Sequence[Evaluation]) -> Document:
    return {
        "id": run.id,
        "name": run.name,
        "state": run.state,
        "error": (run.error or {}).get("message"),
        "evaluations": [evaluation_document(each) for each in scores],
        "progress": {
            "step": run.step,
            "total": run.total_steps,
            "eta_s": run.eta_s,
            "phase": run.phase,
        },
    }


def _arm(arm: Mapping[str, Any], stages: Sequence[Document], tasks: Sequence[str]) -> Document:
    before, *after = measured_cells(stages, tasks)
    base, *matrix = [[cell and cell["score"] for cell in row] for row in (before, *after)]
    return {
        **{key: arm[key] for key in ("name", "method", "seed")},
        "stages": [{k: v for k, v in each.items() if k != "evaluations"} for each in stages],
        "before": before,
        "after": after,
        **arm_numbers(base, matrix),
    }
