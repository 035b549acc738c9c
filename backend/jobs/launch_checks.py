"""What must hold before a run is queued: its task, probes, context and model are there."""

from __future__ import annotations

from collections.abc import Sequence

from backend.config import EvaluationConfig, RunConfig, Settings, TeacherConfig
from backend.errors import ConfigError, StateError
from backend.evaluation.probe_names import expand
from backend.jobs.tasks import find_task
from backend.models.sources import find_source
from backend.text.contexts import find_context
from storage.artifacts import Artifacts
from storage.database import Database


def check_run(database: Database, settings: Settings, config: RunConfig) -> None:
    """Raises ConfigError, NotFound or ModelError for what would only fail in the worker."""
    find_task(database, config.task)
    find_context(config.teacher)
    check_probes(database, config.evaluate.probes)
    find_source(config.model, settings.home)


def check_evaluation(database: Database, settings: Settings, config: EvaluationConfig) -> None:
    """Raises UserError of the fitting kind for what would only fail in the worker."""
    check_probes(database, config.probes)
    if "task" in config.probes and config.task is None:
        raise ConfigError(
            "the probe task needs a run that has one",
            where="--probe",
            remedy="name the task, as in task:NAME",
        )
    if config.run is not None:
        artifacts = Artifacts(database)
        if artifacts.checkpoint(config.run, config.checkpoint) is None:
            steps = ", ".join(str(point.step) for point in artifacts.checkpoints(config.run))
            raise StateError(
                f"there is no such checkpoint (of steps: {steps or 'none yet'})",
                where=f"run {config.run}",
                remedy=f"see: sdlab show {config.run}",
            )
    find_source(config.model, settings.home)


def check_premise_context(name: str) -> None:
    """Raises ConfigError for a form that is neither auto nor known, or that needs a text."""
    if name == "template":
        raise ConfigError(
            "a premise check has no template of its own",
            where="--context",
            remedy="name another context, or auto; a run with a teacher.template checks it itself "
            "before its first step",
        )
    if name != "auto":
        find_context(TeacherConfig(weights="base", context=name))


def find_model(name: str, settings: Settings) -> str:
    """The model's full name: a folder's absolute path. Raises ModelError for no model."""
    return find_source(name, settings.home).name


def check_probes(database: Database, names: Sequence[str]) -> None:
    """Raises ConfigError for an unknown probe and NotFound for an unknown task."""
    for name in expand(names):
        if name.startswith("task:"):
            find_task(database, name.removeprefix("task:"))
