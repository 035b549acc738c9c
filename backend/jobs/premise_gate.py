"""The gate before a launch: what the lab found out on the run's premise, and whether it may go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from backend.config import RunConfig
from backend.errors import StateError
from backend.jobs.tasks import find_task
from backend.text.contexts import rests_on_premise
from storage.database import Database
from storage.models import Run
from storage.runs import Runs

# Key of a run's result: in which words it was launched against its premise.
OVERRULED: Final = "overruled"
_TRY: Final = "another context, a larger model or shorter prompts"


@dataclass(frozen=True)
class Standing:
    """How a run stands to its premise; ``verdict`` is None where nobody measured it.

    ``words`` are a sentence for people; ``better`` is the setting to try first, if one is known.
    """

    verdict: str | None
    words: str
    better: str = ""


def standing(database: Database, config: RunConfig) -> Standing | None:
    """What was measured last of the run's task version, model, start and context form.

    None for a run that rests on no premise. Raises NotFound where the task is gone.
    """
    if not rests_on_premise(config.teacher):
        return None
    stored = find_task(database, config.task)
    context = config.teacher.context
    jobs = Runs(database).of_versions([stored.version.id])
    for run in jobs:
        check = checks_of(run).get(context)
        if check is not None and run.model == config.model and _is_alike(run.config, config):
            return _told(run, check, context)
    unknown = f"the premise in form {context} is not measured yet"
    if config.evaluate.premise:
        unknown += "; the run measures it before its first step"
    return Standing(None, unknown)


def check_gate(database: Database, configs: Sequence[RunConfig]) -> None:
    """Raises StateError for the first run whose premise is no-go, unless it goes ``anyway``."""
    for config in configs:
        found = None if config.anyway else standing(database, config)
        if found is not None and found.verdict == "no-go":
            raise StateError(
                f"{config.name or config.method}: {found.words}",
                where="premise",
                remedy=f"try {found.better or _TRY}, or launch anyway with --anyway",
            )


def overruled(database: Database, config: RunConfig) -> dict[str, str]:
    """What a run's result says from the start if it goes against its premise; else nothing."""
    found = standing(database, config) if config.anyway else None
    if found is None or found.verdict != "no-go":
        return {}
    return {OVERRULED: f"launched anyway, although {found.words}"}


def checks_of(run: Run) -> Mapping[str, Any]:
    """The checks that a job made of the premise, by context form."""
    checks: Mapping[str, Any] = (run.result or {}).get("premise", {}).get("by_context", {})
    return checks


def _is_alike(theirs: Mapping[str, Any], ours: RunConfig) -> bool:
    """Whether another job's student began as ours, and its teacher read the same template."""
    template = (theirs.get("teacher") or {}).get("template")
    is_same_form = ours.teacher.context != "template" or template == ours.teacher.template
    return is_same_form and theirs.get("start_from") == ours.start_from


def _told(run: Run, check: Mapping[str, Any], context: str) -> Standing:
    premise = (run.result or {})["premise"]
    student, teacher = premise["student"], check["teacher"]
    words = (
        f"the premise is {check['verdict']}: in form {context} the teacher scores "
        f"{teacher['score']:.0%} against the student's {student['score']:.0%} on {student['n']} "
        f"rows ({run.name}, {run.id[:8]})"
    )
    best = premise["context"]
    better = ""
    if best != context and premise["verdict"] != "no-go":
        better = (
            f"teacher.context {best}, which is {premise['verdict']} "
            f"({premise['teacher']['score']:.0%}), {_TRY}"
        )
    return Standing(check["verdict"], words, better)
