"""The premise check: does the model, shown a demonstration, really do better than without it?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import torch

from backend.config import Settings, TeacherConfig
from backend.data.demonstration import Demonstration
from backend.errors import UserError
from backend.evaluation.intervals import Difference, Interval, interval, paired
from backend.evaluation.probes import BATCH_ROWS, answer
from backend.evaluation.scorers import Opened, ScorerFailed, choose, strip_thinking
from backend.models.language_model import LanguageModel
from backend.text.contexts import student_messages, teacher_messages
from backend.training.divergence import token_logprobs
from backend.training.packing import completion_hidden, pack
from backend.training.rollouts import demonstration_ids

Verdict = Literal["go", "weak", "no-go"]

# The teacher is the student's ceiling: below this it has little to teach.
GOOD_TEACHER: Final = 0.5
_UNSCORED: Final = "none of the answers could be scored"
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
    """One context form: the teacher, its paired gain over the student, and two warning signs."""

    context: str
    verdict: Verdict
    sentence: str
    teacher: Role
    gain: Difference
    copied: float
    too_long: int


@dataclass(frozen=True)
class Premise:
    """The student, and the teacher in each context form, best first."""

    student: Role
    checks: tuple[ContextCheck, ...]

    @property
    def best(self) -> ContextCheck:
        return self.checks[0]

    def as_document(self) -> dict[str, Any]:
        """As ``sdlab premise --json`` prints it and the run's result keeps it."""
        best = self.best
        return {
            "verdict": best.verdict,
            "sentence": best.sentence,
            "context": best.context,
            "student": _role_document(self.student),
            "teacher": _role_document(best.teacher),
            "by_context": {check.context: _check_document(check) for check in self.checks},
            "copied": best.copied,
            "too_long": best.too_long,
        }


def check_premise(
    model: LanguageModel,
    rows: Sequence[Demonstration],
    scorer: str,
    teacher: TeacherConfig,
    contexts: Sequence[str],
    max_new_tokens: int,
    settings: Settings | None = None,
    next_reader: Callable[[int, str], object] = lambda _done, _reader: None,
) -> Premise:
    """Student and teacher on ``rows`` (one at least), with whatever weights are in place for both.

    The best context comes first: by its verdict, then its score, then its shorter prompt.
    ``settings`` as in TaskProbe. ``next_reader`` is told how many readers were measured and who
    is next; it may raise. Raises UserError where nothing could be scored.
    """
    opened = choose(scorer).open(settings)
    next_reader(0, "student")
    student = _measure(model, rows, opened, None, max_new_tokens)
    checks = []
    for done, name in enumerate(contexts, 1):
        next_reader(done, name)
        form = teacher.model_copy(update={"context": name})
        checks.append(_check(model, rows, opened, form, student, max_new_tokens))
    return Premise(student, tuple(sorted(checks, key=_rank)))


def _rank(check: ContextCheck) -> tuple[int, float, float]:
    """Verdict, then score, then the shorter teacher prompt, which costs less at every step."""
    teacher = check.teacher
    return _BEST_FIRST.index(check.verdict), -teacher.score.score, teacher.prompt_tokens


def judge(teacher: Interval, gain: Difference) -> Verdict:
    """go: surely better, and right at least half the time. weak: surely better. no-go: neither."""
    if gain.low <= 0:
        return "no-go"
    return "go" if teacher.score >= GOOD_TEACHER else "weak"


def _check(
    model: LanguageModel,
    rows: Sequence[Demonstration],
    scorer: Opened,
    teacher: TeacherConfig,
    student: Role,
    max_new_tokens: int,
) -> ContextCheck:
    role = _measure(model, rows, scorer, teacher, max_new_tokens)
    gain = _gain(student, role)
    copied = sum(
        text is not None and strip_thinking(text) == row.demonstration.strip()
        for text, row in zip(role.answers, rows, strict=True)
    )
    verdict = judge(role.score, gain)
    sentence = _sentence(verdict, teacher.context, student, role, gain)
    return ContextCheck(
        teacher.context, verdict, sentence, role, gain, copied / len(rows), role.too_long
    )


def _gain(student: Role, teacher: Role) -> Difference:
    """On the rows that have a score of both."""
    both = [
        (one, other)
        for one, other in zip(student.scores, teacher.scores, strict=True)
        if one is not None and other is not None
    ]
    if not both:
        raise UserError(_UNSCORED, where="premise", remedy="see that the judge works")
    return paired([one for one, _ in both], [other for _, other in both])


def _measure(
    model: LanguageModel,
    rows: Sequence[Demonstration],
    scorer: Opened,
    teacher: TeacherConfig | None,
    max_new_tokens: int,
) -> Role:
    prompts = [
        model.tokenizer.prompt_ids(
            student_messages(row) if teacher is None else teacher_messages(teacher, row)
        )
        for row in rows
    ]
    wanted = [demonstration_ids(model, row) for row in rows]
    fitting = [
        i
        for i, (prompt, ids) in enumerate(zip(prompts, wanted, strict=True))
        if len(prompt) + max(max_new_tokens, len(ids)) <= model.context_length
    ]
    written = answer(model, [prompts[i] for i in fitting], max_new_tokens)
    answers: list[str | None] = [None] * len(rows)
    scores: list[float | None] = [0.0] * len(rows)
    judged = scorer.scores([(text, rows[i]) for i, text in zip(fitting, written, strict=True)])
    for i, text, found in zip(fitting, written, judged, strict=True):
        answers[i], scores[i] = text, None if isinstance(found, ScorerFailed) else found.value
    scored = [value for value in scores if value is not None]
    if not scored:
        reason = next(str(found) for found in judged if isinstance(found, ScorerFailed))
        raise UserError(f"{_UNSCORED}: {reason}", where="premise")
    shown = [wanted[i] for i in fitting]
    totals = _demonstration_logprobs(model, [prompts[i] for i in fitting], shown)
    return Role(
        interval(scored),
        -math.fsum(totals) / sum(map(len, shown)) if shown else math.inf,
        math.fsum(math.exp(total) for total in totals) / max(1, len(totals)),
        tuple(scores),
        tuple(answers),
        sum(map(len, prompts)) / len(prompts),
    )


@torch.no_grad()
def _demonstration_logprobs(
    model: LanguageModel, prompts: list[list[int]], wanted: list[list[int]]
) -> list[float]:
    """log p of each whole demonstration after its prompt."""
    totals: list[float] = []
    for start in range(0, len(prompts), BATCH_ROWS):
        span = slice(start, start + BATCH_ROWS)
        batch = pack(prompts[span], wanted[span], model.tokenizer.pad_id, model.compute.device)
        hidden_NH = completion_hidden(model, batch)
        logprobs_N = token_logprobs(model.head, hidden_NH, batch.completion_ids_N)
        totals += batch.scatter(logprobs_N).sum(1).tolist()
    return totals


def _sentence(
    verdict: Verdict, context: str, student: Role, teacher: Role, gain: Difference
) -> str:
    if teacher.too_long == teacher.score.n:
        return (
            f"no-go: none of {teacher.score.n} teacher prompts fits the model's context; shorten "
            "the prompts or choose a model that reads more"
        )
    numbers = (
        f"with the demonstration in form {context} the teacher scores {teacher.score.score:.0%} "
        f"against the student's {student.score.score:.0%} on {teacher.score.n} rows "
        f"(gain {gain.difference * 100:+.0f} points, 95 % from {gain.low * 100:+.0f} "
        f"to {gain.high * 100:+.0f})"
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
        "copied": check.copied,
        "too_long": check.too_long,
    }
