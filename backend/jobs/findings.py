"""What a set of runs on one task found, in sentences with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from backend.evaluation.probe_names import KL_METRIC, task_probe
from backend.jobs.scored_items import Scores, paired_scores, scores_by_item
from storage.database import Database
from storage.evaluations import Evaluations
from storage.models import Evaluation, Run

PRIOR: Final = "prior:"


@dataclass(frozen=True)
class _Point:
    """A run's scores by item at one step: on the task, and on each probe of prior knowledge."""

    step: int
    task: Scores
    prior: dict[str, Scores]


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
        self._task = task_probe(str(run.config["task"]))
        self.whole = self._points([e for e in stored if not e.subset])
        self.along = self._points([e for e in stored if e.subset])

    def gains(self) -> str:
        if 0 not in self.whole or self.total not in self.whole:
            return f"{self.name} has no scores of its end yet."
        first, last = self.whole[0], self.whole[self.total]
        return f"{self.name} after {self.total} steps: {_changes(first, last)}."

    def _points(self, evaluations: Sequence[Evaluation]) -> dict[int, _Point]:
        found: dict[int, dict[str, Scores]] = {}
        for evaluation in evaluations:
            # A divergence from the base model has no "before" to gain or lose on.
            is_prior = evaluation.probe.startswith(PRIOR) and evaluation.metric != KL_METRIC
            if evaluation.probe == self._task or is_prior:
                scores = scores_by_item(self._database, evaluation)
                found.setdefault(evaluation.step, {})[evaluation.probe] = scores
        return {
            step: _Point(step, probes.pop(self._task), probes)
            for step, probes in sorted(found.items())
            if self._task in probes
        }


def _equal_steps(ours: _Told, other: _Told) -> str:
    a, b = other.whole.get(other.total), ours.whole.get(ours.total)
    if a is None or b is None:
        return ""
    return f"{ours.name} against {other.name} at equal steps: {_changes(a, b)}."


def _equal_skill(ours: _Told, other: _Told) -> str:
    if not ours.along or not other.along:
        return ""
    goal = ours.along[max(ours.along)]
    wanted = _mean(goal.task)
    reached = [point for point in other.along.values() if _mean(point.task) >= wanted]
    if not reached:
        return f"{other.name} never reached {ours.name}'s task score of {wanted:.0%} on its way."
    point = reached[0]
    changes = _changes(point, goal, task=False)
    if not changes:  # no prior knowledge was asked along the way
        return ""
    return (
        f"{ours.name} against {other.name} at equal skill ({other.name} at step {point.step}, "
        f"task {_mean(point.task):.0%} against {wanted:.0%}): {changes}."
    )


def _changes(first: _Point, second: _Point, *, task: bool = True) -> str:
    """What the second point scores more or less than the first, probe by probe."""
    told = [f"task {points_told(first.task, second.task)}"] if task else []
    told += [
        f"{probe} {points_told(scores, second.prior[probe])}"
        for probe, scores in first.prior.items()
        if probe in second.prior
    ]
    return ", ".join(told)


def points_told(first: Scores, second: Scores) -> str:
    """How many points more the second scores on the same items, with the interval."""
    difference = paired_scores(first, second)
    if difference is None:
        return "not asked on the same items"
    low, middle, high = (
        round(100 * value) for value in (difference.low, difference.difference, difference.high)
    )
    told = f"{middle:+d} points (95 % from {low:+d} to {high:+d}, n {difference.n}"
    is_shown = difference.low > 0 or difference.high < 0
    return f"{told})" if is_shown else f"{told}, so no change can be shown)"


def _mean(scores: Scores) -> float:
    return sum(scores.values()) / len(scores)
