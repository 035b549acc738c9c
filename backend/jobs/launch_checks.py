"""What must hold before a run is queued: its task, probes, context, start and model are there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from backend.atomic import file_sha256
from backend.config import EvaluateConfig, RunConfig, TeacherConfig
from backend.documents import validate
from backend.errors import ConfigError, NotFound, StateError
from backend.evaluation.probe_names import expand
from backend.evaluation.scorers import choose
from backend.export.adapter import MANIFEST
from backend.jobs.checkpoints import find_checkpoint
from backend.jobs.estimates import check_memory
from backend.jobs.job_configs import EvaluationConfig
from backend.jobs.slots import most_devices
from backend.jobs.tasks import StoredTask, find_task
from backend.jobs.work.context import checkpoint_folder
from backend.method_checks import FROM_GROUP
from backend.methods import flat
from backend.models.four_bit import check_four_bit
from backend.models.hardware import hardware_profile
from backend.models.sources import find_source
from backend.settings import Settings
from backend.text.contexts import find_context
from storage.artifacts import Artifacts
from storage.database import Database
from storage.models import Checkpoint
from storage.runs import Runs

_USUAL_ALONG: Final = EvaluateConfig().along


def check_run(database: Database, settings: Settings, config: RunConfig) -> None:
    """Raises ConfigError, NotFound or ModelError for what would only fail in the worker."""
    check_scorer(find_task(database, config.task), settings)
    find_context(config.teacher)
    check_probes(database, settings, config.evaluate.probes)
    check_along(config.evaluate)
    _check_stop_rules(config)
    check_devices(settings, config.devices)
    find_source(config.model, settings.home)
    if config.adapter.four_bit:
        check_four_bit(hardware_profile(settings))
    _check_prompts(config)
    for run_id, where in ((config.start_from, "start_from"), (config.teacher.run, "teacher.run")):
        if run_id is not None:
            _check_other_run(database, settings, config, run_id, where)


def check_evaluation(database: Database, settings: Settings, config: EvaluationConfig) -> None:
    """Raises UserError of the fitting kind for what would only fail in the worker."""
    check_probes(database, settings, config.probes)
    if "task" in config.probes and config.task is None:
        raise ConfigError(
            "the probe task needs a run that has one",
            where="--probe",
            remedy="name the task, as in task:NAME",
        )
    if config.run is not None:
        find_checkpoint(database, config.run, config.checkpoint)
    check_memory(settings, config.model)


def check_premise_context(name: str) -> None:
    """Raises ConfigError for a form that is neither auto nor known, or that needs a text."""
    if name == "template":
        raise ConfigError(
            "a premise check has no template of its own",
            where="--context",
            remedy="name another context, or auto; a run with a teacher.template checks it itself "
            "before its first step",
        )
    if name in FROM_GROUP or name == "prompt-only":
        raise ConfigError(
            f'the form "{name}" shows no demonstration',
            where="--context",
            remedy="name another context, or auto",
        )
    if name != "auto":
        find_context(TeacherConfig(weights="base", context=name))


def find_model(name: str, settings: Settings) -> str:
    """The model's full name: a folder's absolute path. Raises ModelError for no model."""
    return find_source(name, settings.home).name


def check_probes(database: Database, settings: Settings, names: Sequence[str]) -> None:
    """Raises ConfigError for an unknown probe or a scorer that is off, NotFound for no task."""
    for name in expand(names):
        if name.startswith("task:"):
            check_scorer(find_task(database, name.removeprefix("task:")), settings)


def check_scorer(stored: StoredTask, settings: Settings) -> None:
    """Raises ConfigError where the lab's settings do not allow the task's scorer."""
    choose(stored.version.scorer).open(settings)


def check_along(evaluate: EvaluateConfig) -> None:
    """Raises ConfigError for probes along the run that are not among its probes.

    The usual ones are a wish, not an order: those that the run lacks are left out.
    """
    if evaluate.along == _USUAL_ALONG:
        return
    probes = expand(evaluate.probes)
    missing = [name for name in expand(evaluate.along) if name not in probes]
    if missing:
        raise ConfigError(
            f'"{missing[0]}" is to be scored along the run, but is none of its probes '
            f"({', '.join(probes)})",
            where="evaluate.along",
            remedy="add it to evaluate.probes, or take it out",
        )


def check_devices(settings: Settings, wanted: int) -> None:
    """Raises ConfigError for more devices than the lab has slots."""
    most = most_devices(settings)
    if wanted > most:
        raise ConfigError(
            f"the run wants {wanted} devices, and this lab has {most}",
            where="devices",
            remedy=f"set devices to {most}; or, where it has more: SDLAB_SLOTS=gpu:0,gpu:1",
        )


def _check_stop_rules(config: RunConfig) -> None:
    along = [] if not config.evaluate.every else expand(config.evaluate.along)
    scored = [name for name in along if name in expand(config.evaluate.probes)]
    for rule in config.stop_when:
        if rule.probe not in scored:
            raise ConfigError(
                f'"{rule.probe}" is to stop the run, but is not scored along it '
                f"({', '.join(scored) or 'nothing is'})",
                where="stop_when",
                remedy="set evaluate.every, and name the probe in evaluate.probes and "
                "evaluate.along",
            )


def _check_prompts(config: RunConfig) -> None:
    if config.rollout.prompts == "general" and config.start_from is None:
        raise ConfigError(
            "general prompts lead an adapter back to the base, and a fresh one is the base",
            where="start_from",
            remedy="name the run that was trained before, such as one by sft",
        )


def _check_other_run(
    database: Database, settings: Settings, config: RunConfig, run_id: str, where: str
) -> None:
    """Raises NotFound, ConfigError or StateError unless the other run's adapter fits this run."""
    run = Runs(database).get(run_id)
    if run is None:
        raise NotFound(
            f'there is no run "{run_id}"',
            where=where,
            remedy="list them with: sdlab runs",
        )
    if run.kind != "train":
        raise ConfigError(
            f"{run.name} is a job of kind {run.kind}, which has no adapter",
            where=where,
            remedy="name a training run",
        )
    if run.model != config.model:
        raise ConfigError(
            f"{run.name} trained {run.model}, and this run is on {config.model}",
            where=where,
            remedy=f"set model to {run.model}, or name another run",
        )
    _check_adapter(run.name, validate(RunConfig, run.config, f"run {run.id}"), config)
    checkpoint = Artifacts(database).checkpoint(run.id)
    if checkpoint is None or not _is_whole(settings, checkpoint):
        found = "has no checkpoint yet" if checkpoint is None else "has a damaged last checkpoint"
        raise StateError(
            f"{run.name} {found}",
            where=where,
            remedy=f"train it further, see: sdlab show {run.id}",
        )


def _check_adapter(name: str, theirs: RunConfig, ours: RunConfig) -> None:
    first, second = (flat(each.as_document()["adapter"]) for each in (theirs, ours))
    differing = [key for key in first | second if first.get(key) != second.get(key)]
    if differing:
        key = differing[0]
        # As YAML and the command line have them: true, not True.
        there, here = (json.dumps(each.get(key)) for each in (first, second))
        raise ConfigError(
            f"the adapter of {name} has {key} {there}, and this run has {here}",
            where=f"adapter.{key}",
            remedy=f"set adapter.{key} to {there}, or name another run",
        )


def _is_whole(settings: Settings, checkpoint: Checkpoint) -> bool:
    manifest = checkpoint_folder(settings, checkpoint) / MANIFEST
    return manifest.is_file() and file_sha256(manifest) == checkpoint.sha256
