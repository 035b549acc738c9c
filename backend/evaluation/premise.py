"""The premise check: does the model, shown a demonstration, really do better than without it?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch

from backend.config import TeacherConfig
from backend.data.demonstration import Demonstration
from backend.errors import UserError
from backend.evaluation.answers import answer
from backend.evaluation.batches import batches
from backend.evaluation.intervals import Difference, interval, paired
from backend.evaluation.premise_finding import ContextCheck, Premise, Role, judge, rank, sentence
from backend.evaluation.scorers import Opened, ScorerFailed, choose
from backend.models.language_model import LanguageModel
from backend.settings import Settings
from backend.text.contexts import Lesson, student_messages, teacher_messages
from backend.text.thinking import strip_thinking
from backend.training.divergence import token_kls, token_logprobs
from backend.training.packing import Batch, pack_for
from backend.training.prefill import completion_hidden
from backend.training.rollouts import demonstration_ids

__all__ = ["ContextCheck", "Premise", "Role", "check_premise", "judge"]

_UNSCORED: Final = "none of the answers could be scored"


@dataclass(frozen=True)
class _Examined:
    """What the check is made on; ``others`` are rows that a form may show besides."""

    model: LanguageModel
    rows: Sequence[Demonstration]
    scorer: Opened
    others: tuple[Demonstration, ...]
    max_new_tokens: int

    def prompts(self, teacher: TeacherConfig | None) -> list[list[int]]:
        lesson = Lesson(self.others)
        return [
            self.model.tokenizer.prompt_ids(
                student_messages(row) if teacher is None else teacher_messages(teacher, row, lesson)
            )
            for row in self.rows
        ]


def check_premise(
    model: LanguageModel,
    rows: Sequence[Demonstration],
    scorer: str,
    teacher: TeacherConfig,
    contexts: Sequence[str],
    max_new_tokens: int,
    settings: Settings | None = None,
    next_reader: Callable[[int, str], object] = lambda _done, _reader: None,
    others: Sequence[Demonstration] = (),
) -> Premise:
    """Student and teacher on ``rows`` (one at least), with whatever weights are in place for both.

    The best context comes first: by its verdict, then its score, then its shorter prompt.
    ``settings`` as in TaskProbe. ``next_reader`` is told how many readers were measured and who
    is next; it may raise. ``others`` are rows for the form that shows several demonstrations.
    Raises UserError where nothing could be scored.
    """
    opened = choose(scorer).open(settings)
    examined = _Examined(model, rows, opened, tuple(others), max_new_tokens)
    next_reader(0, "student")
    student = _measure(examined, None)
    found = []
    for done, name in enumerate(contexts, 1):
        next_reader(done, name)
        form = teacher.model_copy(update={"context": name})
        found.append(_check(examined, form, student))
    checks = tuple(sorted(found, key=rank))
    lead = _gain(checks[1].teacher, checks[0].teacher) if len(checks) > 1 else None
    return Premise(student, checks, lead)


def _check(examined: _Examined, teacher: TeacherConfig, student: Role) -> ContextCheck:
    role = _measure(examined, teacher)
    gain = _gain(student, role)
    both = list(zip(student.scores, role.scores, strict=True))
    copied = sum(
        text is not None and strip_thinking(text) == row.demonstration.strip()
        for text, row in zip(role.answers, examined.rows, strict=True)
    )
    verdict = judge(role.score, gain)
    return ContextCheck(
        teacher.context,
        verdict,
        sentence(verdict, teacher.context, student, role, gain),
        role,
        gain,
        sum(one is not None and other is not None and other > one for one, other in both),
        sum(one is not None and other is not None and other < one for one, other in both),
        _kl_to_student(examined, teacher, student, role),
        copied / len(examined.rows),
        role.too_long,
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


def _measure(examined: _Examined, teacher: TeacherConfig | None) -> Role:
    model, rows, scorer = examined.model, examined.rows, examined.scorer
    prompts, max_new_tokens = examined.prompts(teacher), examined.max_new_tokens
    wanted = [demonstration_ids(model, row) for row in rows]
    fitting = [
        i
        for i, (prompt, ids) in enumerate(zip(prompts, wanted, strict=True))
        if len(prompt) + max(max_new_tokens, len(ids)) <= model.context_length
    ]
    written = answer(
        model, [prompts[i] for i in fitting], max_new_tokens, [wanted[i] for i in fitting]
    )
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
    totals = [0.0] * len(prompts)
    for chosen in batches([len(p) + len(w) for p, w in zip(prompts, wanted, strict=True)]):
        batch = _packed(model, prompts, wanted, chosen)
        hidden_NH = completion_hidden(model, batch)
        logprobs_N = token_logprobs(model.head, hidden_NH, batch.completion_ids_N)
        for i, total in zip(chosen, batch.scatter(logprobs_N).sum(1).tolist(), strict=True):
            totals[i] = total
    return totals


def _packed(
    model: LanguageModel, prompts: list[list[int]], wanted: list[list[int]], chosen: list[int]
) -> Batch:
    rows = [prompts[i] for i in chosen], [wanted[i] for i in chosen]
    return pack_for(model, *rows)


@torch.no_grad()
def _kl_to_student(examined: _Examined, teacher: TeacherConfig, student: Role, role: Role) -> float:
    """Mean KL(teacher || student) over demonstration tokens; NaN where no row fits both."""
    model = examined.model
    places = [
        i
        for i, answers in enumerate(zip(student.answers, role.answers, strict=True))
        if None not in answers
    ]
    sides = [
        [prompts[i] for i in places]
        for prompts in (examined.prompts(teacher), examined.prompts(None))
    ]
    shown = [demonstration_ids(model, examined.rows[i]) for i in places]
    longest = [max(map(len, row)) for row in zip(*sides, strict=True)]
    parts = []
    for chosen in batches([n + len(ids) for n, ids in zip(longest, shown, strict=True)]):
        teacher_NH, student_NH = (
            completion_hidden(model, _packed(model, side, shown, chosen)) for side in sides
        )
        parts.append(token_kls(model.head, teacher_NH, student_NH))
    return float(torch.cat(parts).mean()) if parts else math.nan
