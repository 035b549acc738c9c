"""The premise check: does the model, shown a demonstration, really do better than without it?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import torch

from backend.config import TeacherConfig
from backend.data.demonstration import Demonstration
from backend.evaluation.intervals import Difference, Interval, interval, paired
from backend.evaluation.probes import BATCH_ROWS, answer
from backend.evaluation.scorers import score, strip_thinking
from backend.models.language_model import LanguageModel
from backend.text.contexts import student_messages, teacher_messages
from backend.training.divergence import token_logprobs
from backend.training.packing import completion_hidden, pack
from backend.training.rollouts import demonstration_ids

Verdict = Literal["go", "weak", "no-go"]

# The teacher is the student's ceiling: below this it has little to teach.
GOOD_TEACHER: Final = 0.5


@dataclass(frozen=True)
class Role:
    """How one role does on n rows: greedy score, and how likely it finds the demonstrations.

    ``nats_per_token`` is the mean over demonstration tokens of -log p; ``whole_probability`` the
    mean over rows of p(the whole demonstration) at temperature 1.
    """

    score: Interval
    nats_per_token: float
    whole_probability: float
    scores: tuple[float, ...]
    answers: tuple[str, ...]


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
) -> Premise:
    """Student and teacher on ``rows``, with whatever weights are in place for both."""
    student = _measure(model, rows, scorer, None, max_new_tokens)
    forms = [teacher.model_copy(update={"context": name}) for name in contexts]
    checks = [_check(model, rows, scorer, form, student, max_new_tokens) for form in forms]
    checks.sort(key=lambda check: (-check.teacher.score.score, check.teacher.nats_per_token))
    return Premise(student, tuple(checks))


def judge(teacher: Interval, gain: Difference) -> Verdict:
    """go: surely better, and right at least half the time. weak: surely better. no-go: neither."""
    if gain.low <= 0:
        return "no-go"
    return "go" if teacher.score >= GOOD_TEACHER else "weak"


def _check(
    model: LanguageModel,
    rows: Sequence[Demonstration],
    scorer: str,
    teacher: TeacherConfig,
    student: Role,
    max_new_tokens: int,
) -> ContextCheck:
    limit = model.context_length - max_new_tokens
    fitting = [i for i, row in enumerate(rows) if _prompt_length(model, row, teacher) <= limit]
    chosen = [rows[i] for i in fitting]
    if not chosen:
        return _nothing_fits(teacher.context, len(rows))
    role = _measure(model, chosen, scorer, teacher, max_new_tokens)
    gain = paired([student.scores[i] for i in fitting], role.scores)
    copied = sum(
        strip_thinking(text) == row.demonstration.strip()
        for text, row in zip(role.answers, chosen, strict=True)
    )
    verdict = judge(role.score, gain)
    sentence = _sentence(verdict, teacher.context, student, role, gain)
    return ContextCheck(
        teacher.context, verdict, sentence, role, gain, copied / len(chosen),
        len(rows) - len(chosen),
    )  # fmt: skip


def _measure(
    model: LanguageModel,
    rows: Sequence[Demonstration],
    scorer: str,
    teacher: TeacherConfig | None,
    max_new_tokens: int,
) -> Role:
    prompts = [
        model.tokenizer.prompt_ids(
            student_messages(row) if teacher is None else teacher_messages(teacher, row)
        )
        for row in rows
    ]
    answers = answer(model, prompts, max_new_tokens)
    scores = [score(scorer, text, row).value for text, row in zip(answers, rows, strict=True)]
    totals, lengths = _demonstration_logprobs(model, rows, prompts)
    return Role(
        interval(scores),
        -math.fsum(totals) / sum(lengths),
        math.fsum(math.exp(total) for total in totals) / len(totals),
        tuple(scores),
        tuple(answers),
    )


@torch.no_grad()
def _demonstration_logprobs(
    model: LanguageModel, rows: Sequence[Demonstration], prompts: list[list[int]]
) -> tuple[list[float], list[int]]:
    totals: list[float] = []
    lengths: list[int] = []
    for start in range(0, len(rows), BATCH_ROWS):
        span = slice(start, start + BATCH_ROWS)
        wanted = [demonstration_ids(model, row) for row in rows[span]]
        batch = pack(prompts[span], wanted, model.tokenizer.pad_id, model.compute.device)
        hidden_NH = completion_hidden(model, batch)
        logprobs_N = token_logprobs(model.head, hidden_NH, batch.completion_ids_N)
        totals += batch.scatter(logprobs_N).sum(1).tolist()
        lengths += [len(ids) for ids in wanted]
    return totals, lengths


def _prompt_length(model: LanguageModel, row: Demonstration, teacher: TeacherConfig) -> int:
    return len(model.tokenizer.prompt_ids(teacher_messages(teacher, row)))


def _nothing_fits(context: str, rows: int) -> ContextCheck:
    nothing = Role(Interval(0.0, 0, 0.0, 0.0), math.inf, 0.0, (), ())
    sentence = (
        f"no-go: none of {rows} teacher prompts fits the model's context; shorten the prompts or "
        "choose a model that reads more"
    )
    return ContextCheck(
        context, "no-go", sentence, nothing, Difference(0.0, 0.0, 0.0, 1.0, 0), 0.0, rows
    )


def _sentence(
    verdict: Verdict, context: str, student: Role, teacher: Role, gain: Difference
) -> str:
    numbers = (
        f"with the demonstration in form {context} the teacher scores {teacher.score.score:.0%} "
        f"against the student's {student.score.score:.0%} on {teacher.score.n} rows "
        f"(gain {gain.difference * 100:+.0f} points, 95 % from {gain.low * 100:+.0f} "
        f"to {gain.high * 100:+.0f})"
    )
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
