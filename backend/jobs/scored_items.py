"""The items behind a score, such that two of them are paired on the very same ones."""

from __future__ import annotations

from backend.evaluation.intervals import Difference, paired
from storage.database import Database
from storage.evaluations import Evaluations
from storage.models import Evaluation, EvaluationItem

# Id, prompt and expected answer: another version of a task may give an id to another row.
ItemKey = tuple[str, str, str]
Scores = dict[ItemKey, float]


def items_by_key(database: Database, evaluation: Evaluation) -> dict[ItemKey, EvaluationItem]:
    """The items of an evaluation, in order."""
    items = Evaluations(database).items(evaluation.id)
    return {(item.item_id, item.prompt, item.expected): item for item in items}


def scores_by_item(database: Database, evaluation: Evaluation) -> Scores:
    """The score of each item of an evaluation."""
    return {key: item.score for key, item in items_by_key(database, evaluation).items()}


def paired_scores(first: Scores, second: Scores) -> Difference | None:
    """How much higher ``second`` is on the items that both have; None where there are none."""
    shared = [item for item in first if item in second]
    if not shared:
        return None
    return paired([first[item] for item in shared], [second[item] for item in shared])
