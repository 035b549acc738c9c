"""Two runs side by side: are they comparable, and what differs on the same items."""

from __future__ import annotations

from dataclasses import asdict

from backend.config import RunConfig
from backend.documents import validate
from backend.errors import StateError
from backend.jobs.documents import Document
from backend.jobs.scored_items import paired_scores, scores_by_item
from backend.methods import flat
from storage.database import Database
from storage.evaluations import Evaluations
from storage.models import Evaluation, Run


def compare_runs(database: Database, runs: list[Run]) -> Document:
    """The first run against each of the others, probe by probe, on the items both answered.

    Items are the same if id, prompt and expected answer are.
    ``difference`` is the other's score minus the first's. Raises StateError below two runs, and
    for a job that trained nothing.
    """
    if len(runs) < 2:
        raise StateError("one run cannot be compared", where="compare", remedy="name two or more")
    for run in runs:
        if run.kind != "train":
            raise StateError(
                f"this is a job of kind {run.kind}, which trained nothing to compare",
                where=f"run {run.id}",
                remedy="name training runs, see: sdlab runs",
            )
    reasons = sorted({reason for run in runs[1:] for reason in _why_not(runs[0], run)})
    pairs = [pair for run in runs[1:] for pair in _pairs(database, runs[0], run)]
    if not pairs:
        reasons.append("they have no probe with final scores in common")
    return {
        "runs": [{"id": run.id, "name": run.name} for run in runs],
        "comparable": not reasons,
        "why_not": reasons,
        "config_differences": [_differences(runs[0], run) for run in runs[1:]],
        "pairs": pairs,
    }


def _why_not(first: Run, other: Run) -> list[str]:
    reasons = []
    if first.task_version_id != other.task_version_id:
        reasons.append("they were trained on different task versions")
    if first.model != other.model:
        reasons.append(f"their base models differ: {first.model} and {other.model}")
    for run in (first, other):
        if run.state != "done":
            reasons.append(f"{run.name or run.id} is {run.state}")
    return reasons


def _differences(first: Run, other: Run) -> Document:
    ours, theirs = (
        flat(validate(RunConfig, run.config, run.id).as_document()) for run in (first, other)
    )
    keys = [key for key in ours | theirs if ours.get(key) != theirs.get(key) and key != "name"]
    settings = {key: [ours.get(key), theirs.get(key)] for key in keys}
    return {"runs": [first.id, other.id], "settings": settings}


def _pairs(database: Database, first: Run, other: Run) -> list[Document]:
    theirs = _final(database, other)
    found: list[Document] = []
    for key, evaluation in _final(database, first).items():
        if key not in theirs:
            continue
        a, b = (scores_by_item(database, e) for e in (evaluation, theirs[key]))
        difference = paired_scores(a, b)
        if difference is not None:
            found.append(
                {"runs": [first.id, other.id], "probe": key[0], "metric": key[1]}
                | asdict(difference)
            )
    return found


def _final(database: Database, run: Run) -> dict[tuple[str, str], Evaluation]:
    """Each probe's whole evaluation after the run's last step."""
    whole = Evaluations(database).of_run(run.id, subset=False)
    ends = [found for found in whole if found.step == run.total_steps]
    return {(found.probe, found.metric): found for found in ends}
