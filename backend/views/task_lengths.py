"""How long a version's prompts and demonstrations are for a model, and which rows it has no room
for.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from backend.config import TeacherConfig
from backend.data.demonstration import Demonstration
from backend.errors import ModelError
from backend.jobs.documents import Document
from backend.settings import Settings
from backend.text.contexts import Lesson, student_messages, teacher_messages
from backend.text.tokenizer import TextTokenizer
from backend.views.task_rows import find_version
from backend.views.tokenizers import tokenizer_on_disk
from storage.database import Database
from storage.task_rows import rows_at
from storage.tasks import Tasks

SAMPLE: Final = 1_000
# Tokenizers read a few MB a second: so much of a sample is read that a page can wait for it.
MOST_CHARACTERS: Final = 2_000_000
_FETCHED: Final = 100
_REMEMBERED: Final = 16
_FIRST_LIMIT: Final = 64


@dataclass(frozen=True)
class LengthsRequest:
    """Which version is measured, for which model and form; and how long an answer may get."""

    task: str
    version: str
    model: str
    context: str
    new_tokens: int


class _Lengths(NamedTuple):
    """Tokens of the rows of a sample."""

    student: list[int]
    teacher: list[int]
    demonstration: list[int]


class LengthLists:
    """Lengths by version, model and form; what was read once stays known."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database, self._settings = database, settings
        self._measured = lru_cache(maxsize=_REMEMBERED)(self._measure)

    def document(self, request: LengthsRequest) -> Document:
        """Lengths in tokens of a sample of rows, and how many would be left out at which limit.

        A row is left out where a role's prompt with the longer of demonstration and
        ``new_tokens`` is longer than the limit, as a run does it. Raises NotFound, ConfigError
        and ModelError; ``unread`` says why there are none while the model is not on this disk.
        """
        version = find_version(self._database, request.task, request.version).version
        teacher = TeacherConfig(weights="base", context=request.context)
        tokenizer = tokenizer_on_disk(request.model, self._settings)
        rows = version.training + version.held_out
        told: Document = {
            "model": request.model,
            "context": request.context,
            "new_tokens": request.new_tokens,
            "rows": rows,
        }
        if tokenizer is None:
            return {
                **told,
                "unread": f"{request.model} is not on this disk yet, so nothing can be counted. "
                "A premise check or a run fetches it.",
            }
        found = self._measured(tokenizer, teacher, version.id, rows)
        limit = _limit(tokenizer)
        return {
            **told,
            "sampled": len(found.student),
            "limit": limit,
            "lengths": found._asdict(),
            "skipped": _skipped(found, request.new_tokens, limit),
        }

    def _measure(
        self, tokenizer: TextTokenizer, teacher: TeacherConfig, version_id: str, count: int
    ) -> _Lengths:
        # In random order, so that its beginning is a fair sample, too.
        places = random.Random(0).sample(range(count), min(count, SAMPLE))
        training = Tasks(self._database).rows(version_id, "training", teacher.examples + 1)
        lesson = Lesson(tuple(Demonstration.model_validate(each) for each in training))
        lengths, characters = _Lengths([], [], []), 0
        for first in range(0, len(places), _FETCHED):
            for row in rows_at(self._database, version_id, places[first : first + _FETCHED]):
                read = Demonstration.model_validate(row.content)
                student = tokenizer.apply_chat(student_messages(read))
                seen = tokenizer.apply_chat(teacher_messages(teacher, read, lesson))
                characters += len(student) + len(seen) + len(read.demonstration)
                if characters > MOST_CHARACTERS and lengths.student:
                    return lengths
                lengths.student.append(len(tokenizer.encode(student)))
                lengths.teacher.append(len(tokenizer.encode(seen)))
                # With the token that ends an answer.
                lengths.demonstration.append(len(tokenizer.encode(read.demonstration)) + 1)
        return lengths


def _skipped(found: _Lengths, new_tokens: int, limit: int | None) -> list[Document]:
    """For powers of two and the model's own limit, how many rows of the sample are too long."""
    needed = [
        max(student, teacher) + max(demonstration, new_tokens)
        for student, teacher, demonstration in zip(*found, strict=True)
    ]
    limits = {limit} if limit else set()
    step = _FIRST_LIMIT
    while step < max(needed):
        limits.add(step)
        step *= 2
    limits.add(step)
    return [
        {"limit": each, "rows": _above(needed, each), "is_model": each == limit}
        for each in sorted(limits)
    ]


def _above(values: Sequence[int], limit: int) -> int:
    return sum(value > limit for value in values)


def _limit(tokenizer: TextTokenizer) -> int | None:
    try:
        return tokenizer.context_length
    except ModelError:
        return None
