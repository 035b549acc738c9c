"""Token prompts of both roles for a batch, and what happens to those that are too long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backend.config import TeacherConfig
from backend.data.demonstration import Demonstration
from backend.text.contexts import Lesson, student_messages, teacher_messages
from backend.text.tokenizer import TextTokenizer


@dataclass(frozen=True)
class Prompts:
    """What the roles read before the completion, as token ids; ``teacher`` None without one."""

    student: list[list[int]]
    teacher: list[list[int]] | None


def read_prompts(
    tokenizer: TextTokenizer,
    rows: Sequence[Demonstration],
    teacher: TeacherConfig,
    others: tuple[Demonstration, ...] = (),
) -> Prompts:
    """Both roles' prompts for ``rows``; nothing is cut.

    ``others`` are rows whose demonstrations a form may show besides. Lessons that a group of
    rollouts teaches come later, see backend/training/lessons.py.
    """
    student = [tokenizer.prompt_ids(student_messages(row)) for row in rows]
    if teacher.weights == "none":
        return Prompts(student, None)
    seen = [teacher_messages(teacher, row, Lesson(others)) for row in rows]
    return Prompts(student, [tokenizer.prompt_ids(messages) for messages in seen])


def fits(
    tokenizer: TextTokenizer,
    row: Demonstration,
    teacher: TeacherConfig,
    completion_tokens: int,
    others: tuple[Demonstration, ...] = (),
) -> bool:
    """Whether both prompts, each with such a completion, stay within the model's context."""
    prompts = read_prompts(tokenizer, [row], teacher, others)
    longest = max(len(side[0]) for side in (prompts.student, prompts.teacher) if side)
    return longest + completion_tokens <= tokenizer.context_length
