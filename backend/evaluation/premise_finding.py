"""What a premise check found: the roles' figures, a verdict for each form, and words for it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from backend.evaluation.intervals import Difference, Interval

Verdict = Literal["go", "weak", "no-go"]

# The teacher is the student's ceiling: below this it has little to teach.
GOOD_TEACHER: Final = 0.5
_BEST_FIRST: Final[tuple[Verdict, ...]] = ("go", "weak", "no-go")


@dataclass(frozen=True)
class Role:
    """How one role does on n rows: greedy score, and how likely it finds the demonstrations.

    A row that is ``too_long`` for the model is not read, and counts as a wrong answer: a form that
    leaves no room is no good form. One that could not be scored has no score
    at all. The other figures are of the rows that fit: ``nats_per_token``
    is the mean over demonstration tokens of -log p; ``whole_probability`` the mean over rows of
    p(the whole demonstration) at temperature 1. ``prompt_tokens`` is the mean over all rows.
    """

    score: Interval
    nats_per_token: float
    whole_probability: float
    scores: tuple[float | None, ...]
    answers: tuple[str | None, ...]
    prompt_tokens: float

    @property
    def too_long(self) -> int:
        return self.answers.count(None)


@dataclass(frozen=True)
class ContextCheck:
    """One context form: the teacher, its paired gain over the student, and warning signs.

    ``wins`` and ``losses`` are rows on which the teacher scores higher or lower. ``kl`` is the mean
    KL(teacher || student) in nats over demonstration tokens, of the rows that fit both: how far
    training will move the student. ``copied`` is the share of answers that are the demonstration.
    """

    context: str
    verdict: Verdict
    sentence: str
    teacher: Role
    gain: Difference
    wins: int
    losses: int
    kl: float
    copied: float
    too_long: int


@dataclass(frozen=True)
class Premise:
    """The student, and the teacher in each context form, best first.

    ``lead`` is how much higher the best form scores than the next one; None where there is none.
    """

    student: Role
    checks: tuple[ContextCheck, ...]
    lead: Difference | None = None

    @property
    def best(self) -> ContextCheck:
        return self.checks[0]

    def as_document(self) -> dict[str, Any]:
        """As ``sdlab premise --json`` prints it and the run's result keeps it."""
        best = self.best
        return {
            "verdict": best.verdict,
            "sentence": self.sentence,
            "context": best.context,
            "student": _role_document(self.student),
            "teacher": _role_document(best.teacher),
            "by_context": {check.context: _check_document(check) for check in self.checks},
            "lead": asdict(self.lead) if self.lead else None,
            "copied": best.copied,
            "too_long": best.too_long,
        }

    @property
    def sentence(self) -> str:
        """The best form's verdict; and where there was a choice, what it is better by."""
        if self.lead is None:
            return self.best.sentence
        names = f"{self.best.context} is the best of {len(self.checks)} forms"
        return (
            f"{self.best.sentence}. {names}, {points(self.lead)} against "
            f"{self.checks[1].context}, the next"
        )


def rank(check: ContextCheck) -> tuple[int, float, float]:
    """Verdict, then score, then the shorter teacher prompt, which costs less at every step."""
    teacher = check.teacher
    return _BEST_FIRST.index(check.verdict), -teacher.score.score, teacher.prompt_tokens


def judge(teacher: Interval, gain: Difference) -> Verdict:
    """go: surely better, and right at least half the time. weak: surely better. no-go: neither."""
    if gain.low <= 0:
        return "no-go"
    return "go" if teacher.score >= GOOD_TEACHER else "weak"


def sentence(verdict: Verdict, context: str, student: Role, teacher: Role, gain: Difference) -> str:
    """The verdict with its numbers, and what to try next."""
    if teacher.too_long == teacher.score.n:
        return (
            f"no-go: none of {teacher.score.n} teacher prompts fits the model's context; shorten "
            "the prompts or choose a model that reads more"
        )
    numbers = (
        f"with the demonstration in form {context} the teacher scores {teacher.score.score:.0%} "
        f"against the student's {student.score.score:.0%} on {teacher.score.n} rows "
        f"(gain {points(gain)})"
    )
    if teacher.too_long:
        numbers += f"; {teacher.too_long} of these are too long in it and count as wrong"
    advice = {
        "go": "",
        "weak": "; expect the student to stay below that: try another context or a larger model",
        "no-go": "; there is nothing to distil: try another context, a larger model or shorter "
        "prompts",
    }
    return f"{verdict}: {numbers}{advice[verdict]}"


def _role_document(role: Role) -> dict[str, Any]:
    nats = role.nats_per_token
    return asdict(role.score) | {
        "nats_per_token": nats if math.isfinite(nats) else None,
        "whole_probability": role.whole_probability,
    }


def _check_document(check: ContextCheck) -> dict[str, Any]:
    return {
        "verdict": check.verdict,
        "teacher": _role_document(check.teacher),
        "gain": asdict(check.gain),
        "wins": check.wins,
        "losses": check.losses,
        "kl": check.kl if math.isfinite(check.kl) else None,
        "copied": check.copied,
        "too_long": check.too_long,
        "too_long_share": check.too_long / check.teacher.score.n,
    }


def points(difference: Difference) -> str:
    """``+12 points, 95 % from -3 to +27``."""
    low, high = difference.low * 100, difference.high * 100
    return f"{difference.difference * 100:+.0f} points, 95 % from {low:+.0f} to {high:+.0f}"
