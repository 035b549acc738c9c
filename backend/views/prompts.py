"""The exact prompts of a row for both roles, and what the teacher reads beyond the student."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backend.config import Settings, TeacherConfig
from backend.data.demonstration import Demonstration, Message
from backend.errors import ModelError
from backend.jobs.documents import Document
from backend.text.contexts import student_messages, teacher_messages
from backend.text.tokenizer import TextTokenizer
from backend.views.tasks import find_row
from backend.views.tokenizers import tokenizer_on_disk
from storage.database import Database


@dataclass(frozen=True)
class Piece:
    """A token with its text; a single character where the model's tokenizer is not here."""

    key: int | str
    text: str
    is_special: bool = False


@dataclass(frozen=True)
class Request:
    """Which row is read, by which model, and in which form the teacher sees the demonstration."""

    task: str
    version: str
    place: int
    model: str
    context: str


def prompt_document(database: Database, settings: Settings, request: Request) -> Document:
    """A row as both roles read it, in segments ``(text, is special, is beyond the student)``.

    Token counts are None while the model is not on this disk; ``unread`` then says why. Raises
    NotFound for no such row, ConfigError for no such context and ModelError for no such model.
    """
    row = find_row(database, request.task, request.version, request.place)
    demonstration = Demonstration.model_validate(row.content)
    teacher = TeacherConfig(weights="base", context=request.context)
    turns = student_messages(demonstration), teacher_messages(teacher, demonstration)
    tokenizer = tokenizer_on_disk(request.model, settings)
    student, seen = (_pieces(tokenizer, messages) for messages in turns)
    fixed = len(student) - _last_turn(student, turns[0])
    beyond = beyond_student(student, seen, fixed)
    return {
        "place": request.place,
        "part": row.part,
        "id": demonstration.id,
        "row": demonstration.row,
        "context": request.context,
        "model": request.model,
        "unread": None if tokenizer else _not_here(request.model),
        "limit": _limit(tokenizer),
        "student": {
            "segments": segments(student, [False] * len(student)),
            "tokens": len(student) if tokenizer else None,
        },
        "teacher": {
            "segments": segments(seen, beyond),
            "tokens": len(seen) if tokenizer else None,
        },
        "demonstration": {
            "text": demonstration.demonstration,
            "tokens": len(tokenizer.encode(demonstration.demonstration)) + 1 if tokenizer else None,
        },
        "reference": _reference(demonstration),
        "tags": list(demonstration.tags),
    }


def beyond_student(student: Sequence[Piece], teacher: Sequence[Piece], fixed: int) -> list[bool]:
    """Which of the teacher's pieces the student does not read, as one run of them.

    At most ``fixed`` pieces at the end count as the same: the student's last turn. Without that
    bound an earlier turn could be taken for the last one, for both end alike.
    """
    ours, theirs = [piece.key for piece in student], [piece.key for piece in teacher]
    end = _common(ours[::-1], theirs[::-1], fixed)
    ours, theirs = ours[: len(ours) - end], theirs[: len(theirs) - end]
    start = _common(ours, theirs, len(ours))
    end += _common(ours[start:][::-1], theirs[start:][::-1], len(ours) - start)
    return [start <= place < len(teacher) - end for place in range(len(teacher))]


def segments(pieces: Sequence[Piece], beyond: Sequence[bool]) -> list[list[Any]]:
    """Runs of pieces that are alike; a special piece stands alone, so that it can be seen."""
    runs: list[list[Any]] = []
    for piece, is_beyond in zip(pieces, beyond, strict=True):
        kind = [piece.is_special, is_beyond]
        if runs and runs[-1][1:] == kind and not piece.is_special:
            runs[-1][0] += piece.text
        else:
            runs.append([piece.text, *kind])
    return [run for run in runs if run[0]]


def _common(first: Sequence[int | str], second: Sequence[int | str], most: int) -> int:
    """How many keys at the beginning are the same, up to ``most``."""
    same = 0
    for one, other in zip(first[:most], second, strict=False):
        if one != other:
            break
        same += 1
    return same


def _last_turn(pieces: Sequence[Piece], messages: Sequence[Message]) -> int:
    """Where the user's last turn begins, its special token included; 0 where that is not clear."""
    question = next((turn for turn in reversed(messages) if turn.role == "user"), None)
    text = "".join(piece.text for piece in pieces)
    # Templates may strip a turn's text.
    at = text.rfind(question.content.strip()) if question else -1
    if at <= 0:
        return 0
    place, before = 0, 0
    while before + len(pieces[place].text) <= at:
        before += len(pieces[place].text)
        place += 1
    opening = place - 1
    while opening >= 0 and not pieces[opening].is_special:
        opening -= 1
    return opening if opening >= 0 else place


def _pieces(tokenizer: TextTokenizer | None, messages: Sequence[Message]) -> list[Piece]:
    """The prompt's tokens, whose texts together are the rendered prompt."""
    if tokenizer is None:
        return _plain_pieces(messages)
    text = tokenizer.apply_chat(messages)
    spans = tokenizer.token_starts(text)
    starts = [start for _, start in spans[1:]] + [len(text)]
    begin = 0
    pieces = []
    for (token_id, _), end in zip(spans, starts, strict=True):
        pieces.append(Piece(token_id, text[begin:end], tokenizer.is_added(token_id)))
        begin = max(begin, end)
    return pieces


def _plain_pieces(messages: Sequence[Message]) -> list[Piece]:
    pieces = []
    for turn in messages:
        pieces.append(Piece(f"<{turn.role}>", f"{turn.role}:\n", True))
        pieces += [Piece(letter, letter) for letter in f"{turn.content}\n\n"]
    return [*pieces, Piece("<assistant>", "assistant:\n", True)]


def _not_here(model: str) -> str:
    return (
        f"{model} is not on this disk yet, so tokens cannot be shown and turns stand without the "
        "model's own marks. A premise check or a run fetches it."
    )


def _limit(tokenizer: TextTokenizer | None) -> int | None:
    try:
        return tokenizer.context_length if tokenizer else None
    except ModelError:
        return None


def _reference(demonstration: Demonstration) -> list[str]:
    """What a scorer compares with, where that is not the demonstration itself."""
    target = demonstration.target
    parts = [target] if isinstance(target, str) else list(target)
    return [] if parts == [demonstration.demonstration] else parts
