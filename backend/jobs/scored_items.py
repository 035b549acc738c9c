"""The items behind a score, such that two runs are paired on the very same ones."""

from __future__ import annotations

from storage.database import Database
from storage.evaluations import Evaluations
from storage.models import Evaluation

# Id, prompt and expected answer: another version of a task may give an id to another row.
ItemKey = tuple[str, str, str]
Scores = dict[ItemKey, float]


def scores_by_item(database: Database, evaluation: Evaluation) -> Scores:
    """The score of each item of an evaluation."""
    items = Evaluations(database).items(evaluation.id)
    return {(item.item_id, item.prompt, item.expected): item.score for item in items}
