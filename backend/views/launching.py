"""What helps to decide on a launch: the models at hand, and the newest premise."""

from __future__ import annotations

from typing import Any, Final

from backend.jobs.documents import Document
from backend.jobs.launch_checks import find_model
from backend.jobs.premise_gate import checks_of
from backend.jobs.tasks import find_task, pinned_name
from backend.models.sources import BUNDLED
from backend.settings import Settings
from storage.database import Database
from storage.models import FINAL, Run
from storage.runs import Runs

_MOST_MODELS: Final = 12


def known_models(database: Database) -> list[str]:
    """The bundled models, then those of the lab's jobs, newest first."""
    bundled = [f"bundled:{name}" for name in BUNDLED]
    used = [run.model for run in Runs(database).all() if run.model]
    return list(dict.fromkeys([*bundled, *used]))[:_MOST_MODELS]


# What a check counts besides scores.
_SIGNS: Final = ("wins", "losses", "kl", "copied")


def newest_premise(
    database: Database, settings: Settings, task: str, model: str, context: str = ""
) -> Document:
    """The newest finding on a task version and a model, and the check that is under way.

    A training run measures its own context only, so the newest finding that knows ``context`` is
    taken where there is one; ``verdict`` then is that context's own. Raises NotFound, ModelError.
    """
    stored = find_task(database, task)
    name = find_model(model, settings)
    jobs = [run for run in Runs(database).of_versions([stored.version.id]) if run.model == name]
    findings = [run for run in jobs if (run.result or {}).get("premise")]
    fitting = [run for run in findings if context in checks_of(run)]
    pending = [run for run in jobs if run.kind == "premise" and run.state not in FINAL]
    chosen = next(iter(fitting or findings), None)
    return {
        "task": pinned_name(stored),
        "model": name,
        "context": context,
        "found": _finding(chosen, context) if chosen else None,
        "pending": _pending(pending[0]) if pending else None,
    }


def _finding(run: Run, context: str) -> Document:
    premise = (run.result or {})["premise"]
    contexts = checks_of(run)
    return {
        "run": run.id,
        "name": run.name,
        "at": run.created_at.isoformat(),
        "sentence": premise["sentence"],
        "best": premise["context"],
        "student": _score(premise["student"]) | _likelihood(premise["student"]),
        "contexts": [
            {
                "context": name,
                "verdict": check["verdict"],
                "teacher": _score(check["teacher"]) | _likelihood(check["teacher"]),
                "too_long": check["too_long"],
                **{key: check.get(key) for key in _SIGNS},
            }
            for name, check in contexts.items()
        ],
        "verdict": contexts[context]["verdict"] if context in contexts else premise["verdict"],
        "is_own": context in contexts,
    }


def _score(role: dict[str, Any]) -> Document:
    return {key: role[key] for key in ("score", "n", "low", "high")}


def _likelihood(role: dict[str, Any]) -> Document:
    """How likely the role finds the demonstrations; None where it was not measured."""
    return {key: role.get(key) for key in ("nats_per_token", "whole_probability")}


def _pending(run: Run) -> Document:
    return {
        "run": run.id,
        "state": run.state,
        "phase": run.phase,
        "step": run.step,
        "total": run.total_steps,
        "eta_s": run.eta_s,
    }
