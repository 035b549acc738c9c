"""Tasks learned one after the other, by one or several methods, and what each of them forgot."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from backend.errors import ConfigError, NotFound
from backend.evaluation.forgetting import summarise
from backend.evaluation.probe_names import task_probe
from backend.jobs.documents import Document, run_documents
from backend.jobs.estimates import estimate_run
from backend.jobs.launches import training_run
from backend.jobs.premise_gate import check_gate
from backend.jobs.queue import resume
from backend.jobs.sequence_plans import Arm, plan_arms
from backend.models.estimate import duration
from backend.models.memory import gib
from backend.settings import Settings
from storage.database import Database
from storage.models import FINAL, Run, TaskSequence, new_id
from storage.runs import Runs
from storage.sequences import Sequences

_NOTHING: Final = {"acc": None, "bwt": None, "fwt": None, "forgetting": None}


def start_sequence(
    database: Database, settings: Settings, document: Mapping[str, Any], *, forced: bool
) -> str:
    """Queues every stage of every arm; the sequence's id.

    The same plan again is the same sequence: stages of it that failed or were stopped are queued
    again. Raises ConfigError, NotFound and ModelError before anything is queued, and StateError
    where an arm's first stage has a premise that is no-go.
    """
    plan, arms = plan_arms(database, settings, document)
    _estimates(database, settings, arms, forced=forced)
    fingerprint = _fingerprint(plan.name, arms)
    if Sequences(database).of_fingerprint(fingerprint) is None:
        check_gate(database, [arm.stages[0] for arm in arms])
    made = TaskSequence(id=new_id(), fingerprint=fingerprint, document={})
    runs = [_chain(database, arm, made.id) for arm in arms]
    made.document = {
        "name": plan.name,
        "config": dict(document),
        "tasks": list(arms[0].tasks),
        "arms": [
            {"name": arm.name, "method": arm.stages[0].method, "seed": arm.stages[0].seed,
             "stages": [run.id for run in chain]}
            for arm, chain in zip(arms, runs, strict=True)
        ],
    }  # fmt: skip
    for run in (run for chain in runs for run in chain):
        run.max_attempts = settings.max_attempts
    stored = Sequences(database).add(made, [run for chain in runs for run in chain])
    if stored is not made:
        _go_on(database, settings, stored)
    return stored.id


def estimate_sequence(
    database: Database, settings: Settings, document: Mapping[str, Any], *, forced: bool
) -> list[str]:
    """A sentence an arm on what it will take here, and one on all of them. Raises as starting."""
    _, arms = plan_arms(database, settings, document)
    found = _estimates(database, settings, arms, forced=forced)
    lines = []
    for arm, stages in zip(arms, found, strict=True):
        if len(stages) == 1 or not all(each["known"] for each in stages):
            lines.append(f"{arm.name}: {stages[0]['words']}")
        else:
            lines.append(f"{arm.name}: {_in_all(stages)}, one after the other")
    every = [each for stages in found for each in stages]
    if len(arms) > 1 and all(each["known"] for each in every):
        lines.append(f"all {len(arms)} arms: {_in_all(every)}")
    return lines


def _estimates(
    database: Database, settings: Settings, arms: Sequence[Arm], *, forced: bool
) -> list[list[Document]]:
    return [
        [estimate_run(database, settings, config, forced=forced) for config in arm.stages]
        for arm in arms
    ]


def _in_all(stages: Sequence[Document]) -> str:
    seconds = math.fsum(each["total_s"] for each in stages)
    memory = gib(max(each["peak_memory_mib"] for each in stages))
    return f"{len(stages)} runs, {duration(seconds)} here, up to {memory} of memory"


def find_sequence(database: Database, name: str) -> TaskSequence:
    """The sequence by its id or the beginning of it. Raises NotFound and ConfigError."""
    found = Sequences(database).find(name)
    if not found:
        raise NotFound(
            f'there is no sequence "{name}"',
            where="sequence",
            remedy="start one with: sdlab sequence CONFIG.yaml",
        )
    if len(found) > 1:
        raise ConfigError(
            f'"{name}" is the beginning of {len(found)} sequences',
            where="sequence",
            remedy="give more of the id",
        )
    return found[0]


def sequence_document(database: Database, home: Path, sequence: TaskSequence) -> Document:
    """The sequence with its runs; numbers stay None until every score that they need is there."""
    plan = sequence.document
    runs = {run.id: run for run in Runs(database).all(group_id=sequence.id)}
    ordered = [runs[run_id] for arm in plan["arms"] for run_id in arm["stages"]]
    documents = {each["id"]: each for each in run_documents(database, home, ordered)}
    return {
        "id": sequence.id,
        "name": plan["name"],
        "state": state_of_all([run.state for run in ordered]),
        "tasks": plan["tasks"],
        "created_at": sequence.created_at.isoformat(),
        "config": plan["config"],
        "arms": [
            _arm_document(arm, [documents[run_id] for run_id in arm["stages"]], plan["tasks"])
            for arm in plan["arms"]
        ],
    }


def _arm_document(
    arm: Mapping[str, Any], stages: Sequence[Document], tasks: Sequence[str]
) -> Document:
    base, *matrix = [
        [cell and cell["score"] for cell in row] for row in measured_cells(stages, tasks)
    ]
    shown = {key: arm[key] for key in ("name", "method", "seed")}
    numbers = arm_numbers(base, matrix)
    return {**shown, "stages": stages, "matrix": {"b": base, "R": matrix}, **numbers}


def measured_cells(stages: Sequence[Document], tasks: Sequence[str]) -> list[list[Document | None]]:
    """EVALUATION of each task before the first stage and after each; None if not measured yet.

    ``stages`` are runs with their ``evaluations`` and ``progress``.
    """
    points = [(stages[0], 0), *((stage, stage["progress"]["total"]) for stage in stages)]
    return [[_cell(stage, step, task) for task in tasks] for stage, step in points]


def _cell(stage: Document, step: int, task: str) -> Document | None:
    found = (
        each
        for each in stage["evaluations"]
        if (each["probe"], each["step"], each["subset"]) == (task_probe(task), step, False)
    )
    return next(found, None)


def arm_numbers(base: Sequence[Any], matrix: Sequence[Sequence[Any]]) -> dict[str, float | None]:
    """``acc``, ``bwt``, ``fwt`` and ``forgetting``; None until every score is there."""
    if any(score is None for row in (base, *matrix) for score in row):
        return dict(_NOTHING)
    return asdict(summarise(matrix, base))


def state_of_all(states: Sequence[str]) -> str:
    """One word for all: what failed first, then what goes on."""
    for state in ("failed", "lost", "cancelled"):
        if state in states:
            return state
    if all(state == "done" for state in states):
        return "done"
    return "queued" if set(states) <= {"queued"} else "running"


def _chain(database: Database, arm: Arm, group: str) -> list[Run]:
    """The arm's runs, each waiting for the one before and going on from its adapter."""
    chain: list[Run] = []
    for config in arm.stages:
        before = chain[-1].id if chain else None
        run = training_run(database, config.model_copy(update={"start_from": before}), group)
        run.id, run.after_run_id = new_id(), before
        chain.append(run)
    return chain


def _go_on(database: Database, settings: Settings, sequence: TaskSequence) -> None:
    """Queues each arm's first stage again that has ended without being done; others follow it."""
    runs = Runs(database)
    for arm in sequence.document["arms"]:
        stages = [run for run in map(runs.get, arm["stages"]) if run is not None]
        open_stages = [run for run in stages if run.state != "done"]
        if open_stages and open_stages[0].state in FINAL:
            resume(database, settings, open_stages[0].id)


def _fingerprint(name: str, arms: Sequence[Arm]) -> str:
    """Equal for plans that would queue the same runs under the same name."""
    documents: list[list[dict[str, Any]]] = [
        [config.as_document() for config in arm.stages] for arm in arms
    ]
    text = json.dumps([name, documents], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
