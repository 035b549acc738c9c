"""Alarms: what the metrics of a run say is going wrong, what it means and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Values = Mapping[str, float]

# A step alone says little: means of so many of the last steps, beside those of the first ones.
WINDOW: Final = 5
# A gradient norm is compared with the median of so many steps before it.
_SPIKE: Final = 10.0


@dataclass(frozen=True)
class Rule:
    """An alarm: it is raised where the mean of ``metric`` is so, now and at the first steps."""

    name: str
    metric: str
    is_raised: Callable[[float, float], bool]
    meaning: str


RULES: Final = (
    Rule(
        "entropy_fell",
        "entropy",
        lambda now, first: now < 0.1 * first and now < 0.1,
        "the student has become sure of one way to answer, and its rollouts show it nothing new; "
        "lower optimizer.learning_rate, or raise teacher.temperature",
    ),
    Rule(
        "entropy_rose",
        "entropy",
        lambda now, first: now > 2 * first and now > first + 1.0,
        "the student's answers fall apart; lower optimizer.learning_rate, or begin with more "
        "demonstrations in rollout.source",
    ),
    Rule(
        "length_grew",
        "completion_tokens",
        lambda now, first: now > 3 * first and now > first + 16,
        "answers grow longer and longer, as prompts that ask for a thinking process teach them to; "
        "choose another teacher.context, or lower rollout.max_new_tokens",
    ),
    Rule(
        "clipped",
        "clipped_fraction",
        lambda now, first: now > 0.5 and now > first + 0.25,
        "most rollouts are cut before their end, so that the end is not learned; raise "
        "rollout.max_new_tokens",
    ),
    Rule(
        "repeating",
        "distinct_2",
        lambda now, first: now < 0.5 * first,
        "rollouts say the same again and again; lower optimizer.learning_rate, or set "
        "token_weights.stop_below so that they are cut",
    ),
    Rule(
        "artefacts",
        "artefact_rate",
        lambda now, first: now > 0.2 and now > first + 0.1,
        "answers speak of an example that the prompt does not show; raise "
        "token_weights.skip_first, or choose another teacher.context",
    ),
    Rule(
        "far_from_base",
        "kl_to_base",
        lambda now, first: now > 3.0,
        "the student is far from the base model, and prior skills go with it; lower "
        "optimizer.learning_rate or stop earlier",
    ),
    Rule(
        "derailed",
        "derailed_fraction",
        lambda now, first: now > 0.9,
        "nearly all rollouts leave what the teacher finds likely, and their rest is not learned; "
        "begin with more demonstrations in rollout.source",
    ),
    Rule(
        "no_lessons",
        "lesson_fraction",
        lambda now, first: now == 0.0,
        "no rollout has a lesson, so nothing is learned: none of a group's attempts succeeds; "
        "start from a run that knows the task a little, or choose a teacher.context with feedback",
    ),
)


@dataclass(frozen=True)
class Alarm:
    """What is told once of a run."""

    name: str
    message: str


@dataclass
class Alarms:
    """Watches a run's metrics; its state is part of a checkpoint, so that a resume tells nothing
    twice and forgets nothing."""

    first: dict[str, list[float]] = field(default_factory=dict)
    recent: dict[str, list[float]] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def watch(self, values: Values, max_grad_norm: float) -> list[Alarm]:
        """Alarms that the values of one more step raise; each is raised once a run."""
        raised = list(self._spike(values, max_grad_norm))
        for metric in {rule.metric for rule in RULES} | {"grad_norm"}:
            if metric in values:
                self._keep(metric, values[metric])
        raised += [alarm for rule in RULES for alarm in self._heed(rule, values)]
        new = [alarm for alarm in raised if alarm.name not in self.told]
        self.told += [alarm.name for alarm in new]
        return new

    def state(self) -> dict[str, Any]:
        """Fit for JSON."""
        return {"first": self.first, "recent": self.recent, "told": self.told}

    def load(self, state: Mapping[str, Any]) -> None:
        self.first = {name: list(values) for name, values in state["first"].items()}
        self.recent = {name: list(values) for name, values in state["recent"].items()}
        self.told = list(state["told"])

    def _keep(self, metric: str, value: float) -> None:
        first = self.first.setdefault(metric, [])
        if len(first) < WINDOW:
            first.append(value)
        self.recent[metric] = [*self.recent.get(metric, []), value][-WINDOW:]

    def _heed(self, rule: Rule, values: Values) -> Iterator[Alarm]:
        recent = self.recent.get(rule.metric, [])
        if rule.metric not in values or len(recent) < WINDOW:
            return
        now, first = _mean(recent), _mean(self.first[rule.metric])
        if rule.is_raised(now, first):
            yield Alarm(
                rule.name,
                f"{rule.metric} is {now:.2f} over the last {WINDOW} values, and was {first:.2f} "
                f"over the first: {rule.meaning}",
            )

    def _spike(self, values: Values, max_grad_norm: float) -> Iterator[Alarm]:
        recent, norm = sorted(self.recent.get("grad_norm", [])), values.get("grad_norm", 0.0)
        if len(recent) < WINDOW:
            return
        usual = recent[WINDOW // 2]
        if norm > _SPIKE * usual and norm > max_grad_norm:
            yield Alarm(
                "gradient_spike",
                f"the gradient norm is {norm:.2g} after {usual:.2g}: one batch pulls hard, and is "
                f"clipped to {max_grad_norm:g}; look at its rollouts, or lower "
                "optimizer.learning_rate",
            )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
