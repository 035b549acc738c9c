"""Tries a scorer on one row: here, or in a process of its own where it runs programs or asks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, Final

from backend.config import Settings, validate_settings
from backend.data.demonstration import Demonstration
from backend.errors import Fault, NotFound, StateError, UserError
from backend.evaluation.scorers import Chosen, choose
from backend.jobs.launchers import worker_environment
from backend.jobs.tasks import find_task
from storage.database import Database
from storage.tasks import Tasks

TIMEOUT_S: Final = 300.0


def try_scorer(
    database: Database,
    settings: Settings,
    name: str,
    place: int,
    answer: str,
    scorer: str = "",
    options: str = "",
) -> dict[str, Any]:
    """Score and reason of an answer to the row at ``place``, which counts from 1.

    By the task's scorer, or by another. Raises NotFound, DataError, ConfigError, and
    ScorerFailed or its like where no score could be had.
    """
    stored = find_task(database, name)
    version = stored.version
    count = version.training + version.held_out
    found = Tasks(database).row(version.id, place - 1) if 0 < place <= count else None
    if found is None:
        raise NotFound(
            f"there is no row {place}", where="row", remedy=f"choose one from 1 to {count:,}"
        )
    chosen = choose(scorer or version.scorer, options)
    row = Demonstration.model_validate(found.content)
    if chosen.scorer.outside:
        chosen.open(settings)
        judged = _apart(settings, chosen, row, answer)
    else:
        judged = _judge(chosen, None, row, answer)
    return {
        "task": stored.task.name,
        "version": version.number,
        "row": place,
        "id": row.id,
        "prompt": row.prompt,
        "expected": row.target if isinstance(row.target, str) else list(row.target),
        "answer": answer,
        "scorer": chosen.text,
        **judged,
    }


def _judge(
    chosen: Chosen, settings: Settings | None, row: Demonstration, answer: str
) -> dict[str, Any]:
    score = chosen.open(settings).score(answer, row)
    return {"score": score.value, "reason": score.reason, "record": dict(score.record)}


def _apart(settings: Settings, chosen: Chosen, row: Demonstration, answer: str) -> dict[str, Any]:
    """As a worker would, for the process that serves pages neither runs programs nor asks."""
    request = {"scorer": chosen.text, "row": row.model_dump(mode="json"), "answer": answer}
    environment = worker_environment(settings, os.environ)
    if settings.judge_key:
        environment["SDLAB_JUDGE_KEY"] = settings.judge_key
    try:
        ended = subprocess.run(
            [sys.executable, "-P", "-m", "backend.jobs.trying"],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            env=environment,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise StateError(
            f"the scorer took more than {TIMEOUT_S:g} s",
            where="scorer",
            remedy="see that the judge answers",
        ) from error
    if ended.returncode != 0:
        raise Fault(f"the scorer's process ended with status {ended.returncode}: "
                    f"{ended.stderr[-300:]}", where="scorer")  # fmt: skip
    document: dict[str, Any] = json.loads(ended.stdout)
    if "error" in document:
        told = document["error"]
        refused = UserError(told["message"], where=told["where"], remedy=told["remedy"])
        refused.code = told["code"]
        raise refused
    return document


def main() -> None:
    """Judges the request on stdin and prints its score, or the error of it."""
    request = json.load(sys.stdin)
    row = Demonstration.model_validate(request["row"])
    try:
        judged = _judge(choose(request["scorer"]), validate_settings(), row, request["answer"])
    except UserError as error:
        judged = {"error": error.as_document()}
    print(json.dumps(judged))


if __name__ == "__main__":
    main()
