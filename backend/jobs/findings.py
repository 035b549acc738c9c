"""What a set of runs on one task found, in sentences with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backend.evaluation.intervals import Difference, paired
from backend.jobs.scored_items import Scores, scores_by_item
from storage.database import Database
from storage.evaluations import Evaluations
from storage.models import Evaluation, Run

PRIOR = "prior:facts"


@dataclass(frozen=True)
class _Point:
    """A run's scores by item at one step, on the task and on prior knowledge."""

    step: int
    task: Scores
    prior: Scores


def findings(database: Database, runs: Sequence[Run]) -> list[str]:
    """A sentence a run on what it gained and lost, then the last run against each other one.

    The comparison is made at equal steps (the ends), and at equal skill: the other run is taken
    where, along its way, its task score first reached the last run's final one.
    """
    told = [_Told(database, run) for run in runs]
    sentences = [one.gains() for one in told]
    for other in told[:-1]:
        sentences += [
            sentence
            for sentence in (_equal_steps(told[-1], other), _equal_skill(told[-1], other))
            if sentence
        ]
    return sentences


class _Told:
    """One run's scores, looked up once."""

    def __init__(self, database: Database, run: Run) -> None:
        self.name = run.name
        self.total = run.total_steps
        self._database = database
        stored = Evaluations(database).of_run(run.id)
        self._task = f"task:{str(run.config['task']).split('@')[0]}"
        self.whole = self._points([e for e in stored if not e.subset])
        self.along = self._points([e for e in stored if e.subset])

    def gains(self) -> str:
        first, last = self.whole[0], self.whole[self.total]
        task, prior = _difference(first.task, last.task), _difference(first.prior, last.prior)
        return (
            f"{self.name}: task {_points(task)}, {PRIOR} {_points(prior)} "
            f"after {self.total} steps ({task.n} and {prior.n} items)."
        )

    def _points(self, evaluations: Sequence[Evaluation]) -> dict[int, _Point]:
        found: dict[int, dict[str, Scores]] = {}
        for evaluation in evaluations:
            if evaluation.probe in (self._task, PRIOR):
                scores = scores_by_item(self._database, evaluation)
                found.setdefault(evaluation.step, {})[evaluation.probe] = scores
        return {
            step: _Point(step, probes[self._task], probes[PRIOR])
            for step, probes in sorted(found.items())
            if len(probes) == 2
        }


def _equal_steps(ours: _Told, other: _Told) -> str:
    a, b = other.whole[other.total], ours.whole[ours.total]
    return (
        f"{ours.name} against {other.name} at equal steps: task "
        f"{_points(_difference(a.task, b.task))}, {PRIOR} "
        f"{_points(_difference(a.prior, b.prior))}{_caution(_difference(a.prior, b.prior))}."
    )


def _equal_skill(ours: _Told, other: _Told) -> str:
    if not ours.along or not other.along:
        return ""
    goal = ours.along[max(ours.along)]
    wanted = _mean(goal.task)
    reached = [point for point in other.along.values() if _mean(point.task) >= wanted]
    if not reached:
        return f"{other.name} never reached {ours.name}'s task score of {wanted:.0%} on its way."
    point = reached[0]
    prior = _difference(point.prior, goal.prior)
    return (
        f"{ours.name} against {other.name} at equal skill ({other.name} at step {point.step}, "
        f"task {_mean(point.task):.0%} against {wanted:.0%}): {PRIOR} {_points(prior)} "
        f"on {prior.n} items{_caution(prior)}."
    )


def _difference(first: Scores, second: Scores) -> Difference:
    shared = [item for item in first if item in second]
    return paired([first[item] for item in shared], [second[item] for item in shared])


def _points(difference: Difference) -> str:
    low, middle, high = (
        100 * value for value in (difference.low, difference.difference, difference.high)
    )
    return f"{middle:+.0f} points (95 % from {low:+.0f} to {high:+.0f})"


def _caution(difference: Difference) -> str:
    if difference.low <= 0 <= difference.high:
        return f"; {difference.n} items cannot tell this from no difference"
    return ""


def _mean(scores: Scores) -> float:
    return sum(scores.values()) / len(scores)
