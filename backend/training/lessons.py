"""Lessons that a group of rollouts teaches: a sibling that succeeded, or feedback on a failure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from backend.config import RunConfig
from backend.data.demonstration import Demonstration
from backend.errors import Fault
from backend.method_checks import FROM_GROUP
from backend.models.language_model import LanguageModel
from backend.text.contexts import Lesson, has_lesson, teacher_messages
from backend.text.thinking import strip_thinking
from backend.training.contexts import Prompts
from backend.training.ranks import Ranks
from backend.training.rollouts import Rollouts

# The score of an answer to a row, in 0..1, and a few words on why: the task's scorer.
Judge = Callable[[str, Demonstration], tuple[float, str]]


@dataclass(frozen=True)
class Lessons:
    """What each of the B rows is taught: rows without a lesson do not count in the loss.

    ``scores`` are the rollouts', None where no form asks for them; ``too_long`` counts the lessons
    that the model's context has no room for, which are not shown.
    """

    prompts: Prompts
    has_lesson: tuple[bool, ...]
    scores: tuple[float, ...] | None = None
    too_long: int = 0


def read_lessons(
    model: LanguageModel,
    config: RunConfig,
    judge: Judge | None,
    rows: Sequence[Demonstration],
    prompts: Prompts,
    rollouts: Rollouts,
) -> Lessons:
    """The teacher's prompts, once the rollouts of each row's group are written and scored.

    (``rows`` hold each prompt ``per_prompt`` times in a row. Arxiv 2601.20802: the first other
    rollout that succeeded is shown, without its thoughts; feedback is for attempts that failed.)
    """
    if prompts.teacher is None or config.teacher.context not in FROM_GROUP:
        return Lessons(prompts, (True,) * len(rows))
    if judge is None:
        raise Fault("rollouts are to be scored, but the task's scorer is missing", where="training")
    answers = [model.tokenizer.decode(ids) for ids in rollouts.completions]
    judged = [judge(answer, row) for answer, row in zip(answers, rows, strict=True)]
    seen, taught, too_long = [], [], 0
    for i, row in enumerate(rows):
        lesson = _lesson_of(config, i, row, answers, judged)
        ids = model.tokenizer.prompt_ids(teacher_messages(config.teacher, row, lesson))
        is_taught = has_lesson(config.teacher, row, lesson)
        if is_taught and len(ids) + len(rollouts.completions[i]) > model.context_length:
            is_taught, ids, too_long = False, prompts.student[i], too_long + 1
        seen.append(ids)
        taught.append(is_taught)
    scores = tuple(value for value, _ in judged)
    return Lessons(Prompts(prompts.student, seen), tuple(taught), scores, too_long)


def judge_of_all(judge: Judge | None, ranks: Ranks) -> Judge | None:
    """The first process's judge, asked in it alone, for all of them."""
    if judge is None or ranks.size == 1:
        return judge

    def ask(answer: str, row: Demonstration) -> tuple[float, str]:
        score, reason = ranks.agree(judge(answer, row) if ranks.is_first else None)
        return score, reason

    return ask


def _lesson_of(
    config: RunConfig,
    place: int,
    row: Demonstration,
    answers: Sequence[str],
    judged: Sequence[tuple[float, str]],
) -> Lesson:
    size, success = config.rollout.per_prompt, config.teacher.success_at
    first = place - place % size
    group = range(first, first + size)
    succeeded = [j for j in group if j != place and judged[j][0] >= success]
    value, reason = judged[place]
    feedback = None if value >= success else (row.feedback or reason or None)
    sibling = strip_thinking(answers[succeeded[0]]) if succeeded else None
    return Lesson(sibling=sibling, feedback=feedback)
