"""Documents become checked configurations, and these the rows that wait in the queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.config import RunConfig
from backend.documents import validate
from backend.errors import NotFound
from backend.jobs.estimates import check_memory
from backend.jobs.job_configs import EvaluationConfig, PremiseConfig
from backend.jobs.launch_checks import (
    check_evaluation,
    check_premise_context,
    check_run,
    check_scorer,
    find_model,
)
from backend.jobs.premise_gate import overruled
from backend.jobs.queue import find_run
from backend.jobs.tasks import find_task, pinned_name
from backend.methods import matched_baseline, method_of, resolve
from backend.settings import Settings
from storage.database import Database
from storage.models import Run
from storage.runs import Runs


def configure_run(
    database: Database,
    settings: Settings,
    document: Mapping[str, Any],
    baseline: str | None = None,
    *,
    where: str = "configuration",
) -> list[RunConfig]:
    """The checked configuration, and its baseline's, with task version, model and start pinned.

    Raises ConfigError, NotFound and ModelError.
    """
    config = resolve(document, where)
    pinned: dict[str, Any] = {
        "model": find_model(config.model, settings),
        "task": pinned_name(find_task(database, config.task)),
    }
    if config.start_from is not None:
        pinned["start_from"] = find_run(database, config.start_from).id
    if config.teacher.run is not None:
        teacher = find_run(database, config.teacher.run).id
        pinned["teacher"] = config.teacher.model_copy(update={"run": teacher})
    configs = [config.model_copy(update=pinned)]
    if baseline is not None:
        configs.append(matched_baseline(configs[0], baseline))
    for each in configs:
        check_run(database, settings, each)
    return configs


def training_run(database: Database, config: RunConfig, group: str | None) -> Run:
    """The row of a training run whose configuration was checked."""
    return Run(
        name=config.name or f"{config.task.split('@')[0]} · {method_of(config)}",
        kind="train",
        config=config.as_document(),
        method=config.method,
        task_version_id=find_task(database, config.task).version.id,
        model=config.model,
        total_steps=config.steps,
        group_id=group,
        result=overruled(database, config) or None,
    )


def premise_run(
    database: Database, settings: Settings, document: Mapping[str, Any], group: str | None
) -> Run:
    """The row of a premise check. Raises ConfigError, NotFound and ModelError."""
    config = validate(PremiseConfig, dict(document), "premise")
    check_premise_context(config.context)
    model = find_model(config.model, settings)
    stored = find_task(database, config.task)
    check_scorer(stored, settings)
    check_memory(settings, model)
    pinned = {"model": model, "task": pinned_name(stored)}
    return Run(
        name=f"{stored.task.name} · premise",
        kind="premise",
        config=config.model_copy(update=pinned).model_dump(mode="json"),
        task_version_id=stored.version.id,
        model=model,
        total_steps=1,
        group_id=group,
    )


def evaluation_run(
    database: Database, settings: Settings, subject: str, document: Mapping[str, Any]
) -> Run:
    """The row of an evaluation of a run or a base model. Raises UserError of the fitting kind."""
    run = find_run(database, subject) if Runs(database).find(subject) else None
    if run is not None:
        document = {"run": run.id, "model": run.model, "task": run.config["task"], **document}
    elif document.get("checkpoint") is not None:
        raise NotFound(f'there is no run "{subject}"', where="run", remedy="see: sdlab runs")
    else:
        document = {"model": find_model(subject, settings), **document}
    config = validate(EvaluationConfig, dict(document), "evaluation")
    check_evaluation(database, settings, config)
    return Run(
        name=f"evaluation of {run.name if run else subject}",
        kind="evaluate",
        config=config.model_dump(mode="json"),
        task_version_id=run.task_version_id if run else None,
        model=config.model,
        total_steps=1,
    )
