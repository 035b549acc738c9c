"""How long the scores after the last step will take: as long as those before the first one took."""

from __future__ import annotations

from storage.database import Database
from storage.evaluations import Evaluations
from storage.runs import Runs

PHASE = "phase"
EVALUATING = "evaluating"
PREMISE = "premise"


class FirstEvaluation:
    """Times a run's evaluation of step 0, as it goes on; the premise, measured first, is no part.

    Times are seconds of any one clock.
    """

    def __init__(self) -> None:
        self.took_s = 0.0
        self._began_s: float | None = None

    def event(self, at_s: float, kind: str, message: str, step: object) -> None:
        """Heeds a line of the run's history."""
        begins = kind == PHASE and message == EVALUATING and step == 0
        if begins or (kind == PREMISE and self._began_s is not None):
            self._began_s = at_s

    def scored(self, at_s: float, step: int) -> None:
        """Heeds a score."""
        if step == 0 and self._began_s is not None:
            self.took_s = max(self.took_s, at_s - self._began_s)


def first_evaluation(database: Database, run_id: str) -> float:
    """Seconds that a run's evaluation of step 0 took, by its history; 0 if there was none."""
    timed = FirstEvaluation()
    for event in Runs(database).events(run_id):
        step = (event.data or {}).get("step")
        timed.event(event.at.timestamp(), event.kind, event.message, step)
    for found in Evaluations(database).of_run(run_id):
        timed.scored(found.created_at.timestamp(), found.step)
    return timed.took_s
