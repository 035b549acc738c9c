"""Rules by which a run ends before its last step: what its scores along the way must not do."""

from __future__ import annotations

from backend.config import RunConfig, StopRule
from backend.evaluation.probe_names import KL_METRIC, task_probe
from backend.jobs.scored_items import paired_scores, scores_by_item
from storage.database import Database
from storage.evaluations import Evaluations
from storage.models import Evaluation


def reason_to_stop(database: Database, run_id: str, config: RunConfig) -> str | None:
    """The first rule of ``config.stop_when`` that the run's stored scores break, in words."""
    if not config.stop_when:
        return None
    stored = Evaluations(database).of_run(run_id, subset=True)
    for rule in config.stop_when:
        name = task_probe(config.task) if rule.probe == "task" else rule.probe
        points = [found for found in stored if found.probe == name]
        reason = _fell(database, rule, points) or _stagnates(rule, points)
        if reason is not None:
            return reason
    return None


def _fell(database: Database, rule: StopRule, points: list[Evaluation]) -> str | None:
    if rule.fell_by is None or len(points) < 2:
        return None
    first, last = (scores_by_item(database, points[place]) for place in (0, -1))
    # More nats from the base are less of it.
    change = paired_scores(*((last, first) if points[0].metric == KL_METRIC else (first, last)))
    if change is None or change.difference > -rule.fell_by or change.high >= 0:
        return None
    return (
        f"{points[0].probe} fell by {-change.difference:.2f} from step {points[0].step} to step "
        f"{points[-1].step} (95 % from {-change.high:.2f} to {-change.low:.2f}), and stop_when "
        f"allows {rule.fell_by:g}"
    )


def _stagnates(rule: StopRule, points: list[Evaluation]) -> str | None:
    if rule.no_gain_for is None or len(points) <= rule.no_gain_for:
        return None
    sign = -1 if points[0].metric == KL_METRIC else 1
    scores = [sign * point.score for point in points]
    best = scores.index(max(scores))
    if len(scores) - 1 - best < rule.no_gain_for:
        return None
    return (
        f"{points[0].probe} was best at step {points[best].step} with {points[best].score:.2f}, "
        f"and {len(scores) - 1 - best} evaluations brought nothing more; stop_when allows "
        f"{rule.no_gain_for - 1}"
    )
