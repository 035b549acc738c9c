"""How long the scores after the last step will take: as long as those before the first one took."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from storage.database import Database
from storage.evaluations import Evaluations

PHASE = "phase"
EVALUATING = "evaluating"
PREMISE = "premise"
# Kept with a score of step 0, so that a run that takes over a known score knows its price, too.
TOOK_S = "took_s"


class FirstScores:
    """Adds up what the scores of step 0 took, each when it was measured; the premise is no part.

    ``took_s`` is what an earlier attempt has added up. Times are seconds of any one clock.
    """

    def __init__(self, took_s: float = 0.0) -> None:
        self.took_s = took_s
        self._since_s: float | None = None

    def event(self, at_s: float, kind: str, message: str, step: object) -> None:
        """Heeds a line of the run's history."""
        if kind == PHASE and message == EVALUATING and step == 0:
            self.took_s, self._since_s = 0.0, at_s
        elif kind == PREMISE and self._since_s is not None:
            self._since_s = at_s

    def scored(self, at_s: float, details: Mapping[str, Any]) -> dict[str, Any]:
        """Heeds a score of step 0; its details with what it took, or once took if it was known."""
        timed = dict(details)
        if self._since_s is not None:
            timed.setdefault(TOOK_S, round(at_s - self._since_s, 3))
        self.took_s += float(timed.get(TOOK_S, 0.0))
        self._since_s = at_s
        return timed


def first_scores(database: Database, run_id: str) -> FirstScores:
    """What the scores of step 0 took that a run has stored."""
    stored = Evaluations(database).of_run(run_id, subset=False)
    return FirstScores(math.fsum(e.details.get(TOOK_S, 0.0) for e in stored if e.step == 0))
