"""How much a run will read and write, in rows and tokens: its steps, evaluations and traces."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, get_args

from backend.config import RolloutSource, RunConfig, Schedule, Share, value_at
from backend.text.contexts import rests_on_premise

PREMISE_ROWS: Final = 32
_STEPS_LOOKED_AT: Final = 200
_SOURCES: Final = get_args(RolloutSource)


@dataclass(frozen=True)
class Lengths:
    """Tokens of a task's rows, as the model's tokenizer and chat template make them: means.

    ``longest_demonstration`` is the maximum; where it is 0, twice the mean is taken for it.
    ``shared_prompt`` is what all prompts begin with, which a step reads once.
    """

    prompt: float
    teacher_prompt: float
    demonstration: float
    longest_demonstration: float = 0.0
    shared_prompt: float = 0.0

    @property
    def longest_shown(self) -> int:
        """The longest demonstration to reckon with."""
        return math.ceil(self.longest_demonstration or 2 * self.demonstration)


@dataclass(frozen=True)
class StepWork:
    """The mean optimizer step: its rows, who writes how many of them, and how long they get."""

    rows: int
    by_student: float
    by_teacher: float
    completion: float
    longest_completion: int


@dataclass(frozen=True)
class Scoring:
    """Rows that a model answers besides its steps.

    A row is ``read`` tokens in forward passes, of which ``judged`` need logits, and ``written``
    tokens one by one, ``together`` rows at a time.
    """

    rows: float
    read: float
    judged: float = 0.0
    written: float = 0.0
    together: float = 32.0


# The bundled probes, as SmolLM2's tokenizer counts them; what prompts begin with is read once.
PRIOR_PROBES: Final[Mapping[str, Scoring]] = {
    "prior:facts": Scoring(277, read=22, judged=11),
    "prior:instructions": Scoring(49, read=22, written=32),
    "prior:kl": Scoring(30, read=150, judged=64, written=32),
}
# How large a benchmark is, only its data set tells: this is a middling one of multiple choices.
BENCHMARK: Final = Scoring(1000, read=400, judged=100)


def expected_answer(limit: float, demonstration: float) -> float:
    """Tokens that an answer will take: models ramble, but seldom beyond a few demonstrations."""
    return min(limit, max(32.0, 3 * demonstration))


def step_work(config: RunConfig, lengths: Lengths) -> StepWork:
    """What a mean step of the run does."""
    rows = config.batch_size * config.rollout.per_prompt
    every = max(1, config.steps // _STEPS_LOOKED_AT)
    looked_at = range(0, config.steps, every)
    shares = dict.fromkeys(_SOURCES, 0.0)
    completion = 0.0
    longest = _longest(config.rollout.max_new_tokens)
    for step in looked_at:
        now = _shares(config, step)
        written = expected_answer(
            value_at(config.rollout.max_new_tokens, step), lengths.demonstration
        )
        shown = lengths.demonstration + 1
        completion += now["demonstration"] * shown + (1 - now["demonstration"]) * written
        shares = {name: share + now[name] for name, share in shares.items()}
    count = len(looked_at)
    only_shown = shares["demonstration"] >= count
    longest_shown = lengths.longest_shown if shares["demonstration"] else 0
    return StepWork(
        rows,
        rows * shares["student"] / count,
        rows * shares["teacher"] / count,
        completion / count,
        max(0 if only_shown else longest, longest_shown),
    )


def planned_scoring(
    config: RunConfig, probes: Sequence[str], held_out: int, lengths: Lengths
) -> list[Scoring]:
    """The run's evaluations, premise check and traces; ``probes`` are expanded names."""
    limits = config.evaluate
    work = []
    for name in probes:
        probe = _probe(name, held_out, limits.max_new_tokens, lengths)
        for limit, times in _occasions(config, name):
            rows = min(limit or math.inf, probe.rows)
            together = min(probe.together, max(rows, 1))
            work.append(replace(probe, rows=rows * times, together=together))
    if limits.premise and rests_on_premise(config.teacher):
        rows, written = min(PREMISE_ROWS, held_out), limits.max_new_tokens
        for prompt in (lengths.prompt, lengths.teacher_prompt):
            read = 2 * prompt + lengths.demonstration
            work.append(Scoring(rows, read, lengths.demonstration, written, max(rows, 1)))
    if config.traces.every and config.traces.watched:
        work.append(_traces(config, held_out, lengths))
    return work


def _longest(value: int | Schedule) -> int:
    return round(max(value.start, value.end)) if isinstance(value, Schedule) else value


def _shares(config: RunConfig, step: int) -> dict[str, float]:
    """The share of rows of each source at a step."""
    shares = dict.fromkeys(_SOURCES, 0.0)
    rest, left = "student", 1.0
    for name, share in config.rollout.source.items():
        if share == "rest":
            rest = name
        else:
            shares[name] = _share(share, step)
            left -= shares[name]
    shares[rest] = max(0.0, left)
    return shares


def _share(share: Share, step: int) -> float:
    return 0.0 if isinstance(share, str) else value_at(share, step)


def _occasions(config: RunConfig, name: str) -> list[tuple[int, float]]:
    """(limit of items, how often) for the ends of a run and for the points of its curve between."""
    limits = config.evaluate
    limit = limits.limit
    if name == "prior:facts":
        limit = limits.facts_limit
    elif name.startswith("task:"):
        limit = limits.other_limit or limits.limit
    occasions = [(limit, 2.0)]
    if limits.every and name in limits.along:
        occasions.append((limits.along_limit, (config.steps - 1) // limits.every))
    return occasions


def _probe(name: str, held_out: int, max_new_tokens: int, lengths: Lengths) -> Scoring:
    if name in PRIOR_PROBES:
        return PRIOR_PROBES[name]
    if name.startswith("lm-eval:"):
        return BENCHMARK
    written = expected_answer(max_new_tokens, lengths.demonstration)
    return Scoring(held_out, lengths.prompt, written=written)


def _traces(config: RunConfig, held_out: int, lengths: Lengths) -> Scoring:
    """Watched prompts: answered by each role, then read by student, base and teacher."""
    times = 1 + math.ceil(config.steps / config.traces.every)
    answer = expected_answer(_longest(config.rollout.max_new_tokens), lengths.demonstration)
    read, roles = 3 * lengths.prompt + 2 * answer, 1
    if config.teacher.weights != "none":
        read, roles = read + 2 * lengths.teacher_prompt + answer, 2
    rows = min(config.traces.watched, held_out)
    return Scoring(rows * times, read, 3 * answer, roles * answer, max(rows, 1))
