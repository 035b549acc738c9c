"""Reads the document of a sequence: a checked configuration for every stage of every arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from backend.config import RunConfig
from backend.documents import validate
from backend.errors import ConfigError
from backend.evaluation.probe_names import expand, task_probe
from backend.jobs.launches import configure_run
from backend.jobs.tasks import find_task, pinned_name
from backend.methods import overlaid
from backend.settings import Settings
from storage.database import Database

WHERE: Final = "sequence"
# What the stages have each their own of.
_OF_A_STAGE: Final = ("task", "start_from")
_FACTS: Final = "prior:facts"


class SequencePlan(BaseModel):
    """A sequence as it is written; what stands beside these is shared by all runs."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = Field("", max_length=200)
    tasks: tuple[str, ...] = Field(min_length=1)
    arms: tuple[dict[str, Any], ...] = Field(min_length=1)

    @property
    def shared(self) -> dict[str, Any]:
        """The settings of every run."""
        return dict(self.model_extra or {})


@dataclass(frozen=True)
class Arm:
    """One way to learn the tasks: a configuration for each, in order, without its start."""

    name: str
    tasks: tuple[str, ...]
    stages: tuple[RunConfig, ...]


def plan_arms(
    database: Database, settings: Settings, document: Mapping[str, Any]
) -> tuple[SequencePlan, list[Arm]]:
    """The plan, and its arms with versions and models pinned.

    Raises ConfigError, NotFound and ModelError for what would only fail later.
    """
    plan = validate(SequencePlan, dict(document), WHERE)
    tasks = _pinned(database, plan.tasks)
    _check_keys(plan.shared, WHERE)
    arms = []
    for number, arm in enumerate(plan.arms, 1):
        where = f"{WHERE}, arm {number}"
        _check_keys(arm, where)
        merged = overlaid(plan.shared, arm)
        stages = [
            configure_run(database, settings, _stage(merged, tasks, place, where), where=where)[0]
            for place in range(len(tasks))
        ]
        arms.append(Arm(_label(merged), tasks, tuple(stages)))
    return plan, arms


def _pinned(database: Database, names: Sequence[str]) -> tuple[str, ...]:
    stored = [find_task(database, name) for name in names]
    plain = [each.task.name for each in stored]
    for name in plain:
        if plain.count(name) > 1:
            raise ConfigError(
                f'the task "{name}" stands twice', where=f"{WHERE}, tasks", remedy="name it once"
            )
    return tuple(pinned_name(each) for each in stored)


def _check_keys(settings: Mapping[str, Any], where: str) -> None:
    for key in _OF_A_STAGE:
        if key in settings:
            raise ConfigError(
                f'"{key}" is each stage\'s own, and cannot be set',
                where=where,
                remedy="remove it; the tasks are listed under tasks",
            )


def _stage(
    settings: Mapping[str, Any], tasks: Sequence[str], place: int, where: str
) -> dict[str, Any]:
    """The document of one stage: every task is a probe, so that the matrix has no holes."""
    evaluate = settings.get("evaluate") or {}
    if not isinstance(evaluate, Mapping):
        raise ConfigError(
            f'"evaluate" is {evaluate!r}, not a group of settings', where=where, remedy="write keys"
        )
    if evaluate.get("other_limit") not in (None, 0, evaluate.get("limit", 0)):
        raise ConfigError(
            f"evaluate.other_limit is {evaluate['other_limit']}, but every task must be scored on "
            "the same items at each stage",
            where=where,
            remedy="remove it, and set evaluate.limit alone",
        )
    probes = [f"task:{task}" for task in tasks]
    plain = {"task", *probes, *map(task_probe, tasks)}
    others = [name for name in evaluate.get("probes", ("prior",)) if name not in plain]
    own = {"probes": [*probes, *others]}
    if "along" not in evaluate:
        facts = [_FACTS] if _FACTS in expand(others) else []
        own["along"] = [probes[place], *facts]
    name = f"{_label(settings)} · {place + 1} {tasks[place].split('@')[0]}"
    return {**settings, "evaluate": {**evaluate, **own}, "task": tasks[place], "name": name}


def _label(settings: Mapping[str, Any]) -> str:
    """What an arm is called: its name, or its method and seed."""
    method = str(settings.get("method", "")).split("/")[0]
    return str(settings.get("name") or f"{method} seed {settings.get('seed', 0)}")
