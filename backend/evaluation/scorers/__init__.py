"""Scorers: each a function of an answer and its row that returns a score with its reason."""

from backend.evaluation.scorers.choosing import Chosen, Opened, choose, score
from backend.evaluation.scorers.registry import SCORERS
from backend.evaluation.scorers.scorer import Score, Scorer, ScorerFailed, Target

__all__ = [
    "SCORERS",
    "Chosen",
    "Opened",
    "Score",
    "Scorer",
    "ScorerFailed",
    "Target",
    "choose",
    "score",
]
