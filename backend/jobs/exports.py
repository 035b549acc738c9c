"""Takes a run's adapter out of the lab: finds its checkpoint, tells its story, writes it."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select

from backend.config import RunConfig, Settings
from backend.documents import validate
from backend.errors import ModelError, NotFound, StateError, UserError
from backend.export.adapter import AdapterSource, Exported, write_adapter
from backend.export.bases import describe_base
from backend.export.model_card import CardFacts, Measured, ProbeFacts, TaskFacts, model_card
from backend.jobs.checkpoints import find_checkpoint
from backend.jobs.export_jobs import JOB_FORMATS
from backend.jobs.work.context import checkpoint_folder, run_folder
from backend.methods import PRESETS, differences
from backend.models.on_disk import folder_on_disk
from storage.artifacts import Artifacts
from storage.database import Database
from storage.evaluations import Evaluations
from storage.models import Artifact, Checkpoint, Evaluation, Run, now
from storage.runs import Runs
from storage.tasks import Tasks

FORMATS: Final = ("peft", *JOB_FORMATS)
ADAPTER_KIND: Final = "adapter"
# A run that trained all weights leaves a whole model instead.
MODEL_KIND: Final = "model"
_LIBRARIES: Final = ("sdlab", "torch", "transformers", "peft", "tokenizers", "safetensors")
# What a card says elsewhere, or what says nothing about the method.
_NOT_METHOD: Final = frozenset({"name", "task", "model"})


def check_format(form: str) -> None:
    """Raises UserError for a form of export that there is not."""
    if form not in FORMATS:
        raise UserError(
            f'there is no export as "{form}"',
            where="--format",
            remedy=f"use one of {', '.join(FORMATS)}",
        )


def export_adapter(
    database: Database,
    settings: Settings,
    run_id: str,
    target: Path,
    checkpoint: int | None = None,
) -> Exported:
    """Writes a run's adapter (of its newest checkpoint without a step) as a folder or ZIP file.

    It becomes an artifact of the lab if ``target`` lies under its home. Raises NotFound,
    StateError where there is no whole checkpoint or something at ``target``, and UserError.
    """
    run = training_run(database, run_id)
    found = find_checkpoint(database, run.id, checkpoint)
    return _export(database, settings, run, found, target)


def finished_adapter(database: Database, settings: Settings, run_id: str) -> Exported | None:
    """Leaves the newest checkpoint's adapter ready at SDLAB_HOME/runs/<id>/adapter.zip.

    A run that trained all weights leaves model.zip. None for a run that ended before its first
    checkpoint. Called again, it writes the same file or, after further training, the newer adapter
    in its place.
    """
    run = training_run(database, run_id)
    found = Artifacts(database).checkpoint(run.id)
    if found is None:
        return None
    target = run_folder(settings, run.id) / f"{_kind(run)}.zip"
    return _export(database, settings, run, found, target, replace_it=True)


def card_facts(
    database: Database, settings: Settings, run: Run, checkpoint: Checkpoint
) -> CardFacts:
    """What the lab knows about a checkpoint's adapter; nothing in it names a place on the disk.

    Raises ModelError for a base model that is gone.
    """
    config = validate(RunConfig, run.config, f"run {run.id}")
    base = describe_base(config.model, settings.home)
    shown = config.model_copy(update={"model": base.name})
    premise = (run.result or {}).get("premise") or {}
    return CardFacts(
        run_id=run.id,
        run_name=run.name,
        step=checkpoint.step,
        total_steps=config.steps,
        preset=config.method,
        summary=PRESETS[config.method].summary,
        differences=tuple(row for row in differences(shown) if row[0] not in _NOT_METHOD),
        base=base,
        task=_task_facts(database, run),
        config_yaml=shown.as_yaml(),
        probes=_probe_facts(Evaluations(database).of_run(run.id), checkpoint.step),
        premise=premise.get("sentence"),
        versions=_versions(),
        date=f"{checkpoint.created_at:%Y-%m-%d}",
        form="full" if config.adapter.full else "adapter",
    )


def _export(
    database: Database,
    settings: Settings,
    run: Run,
    checkpoint: Checkpoint,
    target: Path,
    *,
    replace_it: bool = False,
) -> Exported:
    facts = card_facts(database, settings, run, checkpoint)
    source = AdapterSource(
        checkpoint_folder(settings, checkpoint),
        checkpoint.sha256,
        _base_folder(settings, run),
        facts.base.name,
    )
    exported = write_adapter(source, model_card(facts), target, replace=replace_it)
    home = settings.home.resolve()
    if exported.path.is_relative_to(home):
        path = exported.path.relative_to(home).as_posix()
        register(database, run.id, _kind(run), exported, path)
    return exported


def _kind(run: Run) -> str:
    config = validate(RunConfig, run.config, f"run {run.id}")
    return MODEL_KIND if config.adapter.full else ADAPTER_KIND


def training_run(database: Database, run_id: str) -> Run:
    """The run that trained something. Raises NotFound and StateError."""
    run = Runs(database).get(run_id)
    if run is None:
        raise NotFound(
            "there is no such run", where=f"run {run_id}", remedy="list them with: sdlab runs"
        )
    if run.kind != "train":
        raise StateError(
            f"this is a job of kind {run.kind}, which makes no adapter",
            where=f"run {run_id}",
            remedy="name a training run, see: sdlab runs",
        )
    return run


def _base_folder(settings: Settings, run: Run) -> Path:
    folder = folder_on_disk(run.config["model"], settings.home)
    if folder is None:
        raise ModelError(
            f"the base model {run.config['model']} is not on this disk, and the adapter needs its "
            "tokenizer",
            where=f"run {run.id}",
            remedy=f"fetch it again with: sdlab evaluate {run.id} --probe prior:facts --wait",
        )
    return folder


def _task_facts(database: Database, run: Run) -> TaskFacts | None:
    tasks = Tasks(database)
    version = tasks.version_by_id(run.task_version_id) if run.task_version_id else None
    task = tasks.of_version(version.id) if version else None
    if task is None or version is None:
        return None
    return TaskFacts(
        task.name,
        version.number,
        version.training,
        version.held_out,
        version.content_hash,
        version.scorer,
    )


def _probe_facts(evaluations: Iterable[Evaluation], step: int) -> tuple[ProbeFacts, ...]:
    """Each probe before the first step and after ``step``: on all items if those were measured.

    Where only a subset was measured after ``step``, before is on that subset as well.
    """
    found: dict[tuple[str, str], dict[tuple[int, bool], Measured]] = {}
    for one in evaluations:
        measured = Measured(one.score, one.n, one.low, one.high)
        found.setdefault((one.probe, one.metric), {})[one.step, one.subset] = measured
    facts = []
    for (probe, metric), by_place in found.items():
        is_subset = (step, False) not in by_place and (step, True) in by_place
        before, after = by_place.get((0, is_subset)), by_place.get((step, is_subset))
        if before or after:
            facts.append(ProbeFacts(probe, metric, before, after, is_subset))
    return tuple(facts)


def _versions() -> Mapping[str, str]:
    versions = {"Python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def register(database: Database, run_id: str, kind: str, exported: Exported, path: str) -> str:
    """Makes what lies at ``path`` the run's artifact, or brings that up to date; returns its id."""
    values: dict[str, Any] = {"sha256": exported.sha256, "bytes": exported.bytes}
    same = select(Artifact).where(
        Artifact.run_id == run_id, Artifact.kind == kind, Artifact.path == path
    )
    with database.write() as session:
        known = session.scalar(same)
        if known is None:
            known = Artifact(kind=kind, path=path, run_id=run_id, **values)
            session.add(known)
            session.flush()
        elif known.sha256 != exported.sha256:
            known.sha256, known.bytes, known.created_at = *values.values(), now()
        return known.id
