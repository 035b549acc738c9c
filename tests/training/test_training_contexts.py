"""Prompts of both roles, and rows that are too long for the model."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.config import TeacherConfig
from backend.text.contexts import DEMONSTRATION_FORMS, student_messages, teacher_messages
from backend.text.tokenizer import TextTokenizer
from backend.training.contexts import fits, read_prompts
from tests.tiny_model import CONTEXT_LENGTH
from tests.training.tiny_runs import demonstration, demonstrations

NO_TEACHER = TeacherConfig()


@pytest.fixture
def tokenizer(tiny_folder: Path) -> TextTokenizer:
    return TextTokenizer(tiny_folder)


@pytest.mark.parametrize("context", [*DEMONSTRATION_FORMS, "reference-solution"])
def test_both_roles_read_whole_prompts(context: str, tokenizer: TextTokenizer) -> None:
    """Checklist 19: nothing is cut, however long it is."""
    rows = [*demonstrations(2), demonstration(3, prompt="the light " * 2000)]
    teacher = TeacherConfig(weights="ema", context=context)
    prompts = read_prompts(tokenizer, rows, teacher)
    assert prompts.teacher is not None
    for row, student, seen in zip(rows, prompts.student, prompts.teacher, strict=True):
        expected = tokenizer.apply_chat(student_messages(row))
        assert tokenizer.decode(student, skip_special=False) == expected
        expected = tokenizer.apply_chat(teacher_messages(teacher, row))
        assert tokenizer.decode(seen, skip_special=False) == expected
        assert row.demonstration in expected


def test_a_method_without_a_teacher_reads_no_teacher_prompt(tokenizer: TextTokenizer) -> None:
    assert read_prompts(tokenizer, demonstrations(2), NO_TEACHER).teacher is None


def test_a_row_fits_up_to_the_last_token(tokenizer: TextTokenizer) -> None:
    """Checklist 19: the longer prompt of the two and a whole completion."""
    row = demonstration(1)
    teacher = TeacherConfig(weights="base", context="earlier-turn-twice")
    prompts = read_prompts(tokenizer, [row], teacher)
    assert prompts.teacher is not None
    room = CONTEXT_LENGTH - len(prompts.teacher[0])
    assert fits(tokenizer, row, teacher, room)
    assert not fits(tokenizer, row, teacher, room + 1)
    assert fits(tokenizer, row, NO_TEACHER, CONTEXT_LENGTH - len(prompts.student[0]))
    assert not fits(tokenizer, row, NO_TEACHER, CONTEXT_LENGTH - len(prompts.student[0]) + 1)
