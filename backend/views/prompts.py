"""The exact prompts of a row for both roles, and what the teacher reads beyond the student."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backend.config import TeacherConfig
from backend.data.demonstration import Demonstration, Message
from backend.errors import ModelError
from backend.jobs.documents import Document
from backend.settings import Settings
from backend.text.contexts import student_messages, teacher_messages
from backend.text.prompt_difference import Part, prompt_difference
from backend.text.tokenizer import TextTokenizer
from backend.views.task_rows import find_row
from backend.views.tokenizers import tokenizer_on_disk
from storage.database import Database


@dataclass(frozen=True)
class Piece:
    """A token's text; a turn, or the name before it, where the model's tokenizer is not here."""

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
    ours, theirs = ("".join(piece.text for piece in pieces) for pieces in (student, seen))
    _, parts = prompt_difference(ours, theirs)
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
            "segments": segments(student, [(ours, False)]),
            "tokens": len(student) if tokenizer else None,
        },
        "teacher": {
            "segments": segments(seen, parts),
            "tokens": len(seen) if tokenizer else None,
        },
        "demonstration": {
            "text": demonstration.demonstration,
            "tokens": len(tokenizer.encode(demonstration.demonstration)) + 1 if tokenizer else None,
        },
        "reference": _reference(demonstration),
        "tags": list(demonstration.tags),
    }


def segments(pieces: Sequence[Piece], parts: Sequence[Part]) -> list[list[Any]]:
    """The prompt in runs that are alike; a special piece stands alone, so that it can be seen.

    ``parts`` are the same text, and whether only this role reads it: a token may lie in two.
    """
    runs: list[list[Any]] = []
    waiting = list(parts)[::-1]
    for piece in pieces:
        text = piece.text
        while text:
            part, is_beyond = waiting.pop()
            if len(part) > len(text):
                waiting.append((part[len(text) :], is_beyond))
            kind = [piece.is_special, is_beyond]
            if runs and runs[-1][1:] == kind and not piece.is_special:
                runs[-1][0] += text[: len(part)]
            else:
                runs.append([text[: len(part)], *kind])
            text = text[len(part) :]
    return runs


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
        pieces.append(Piece(text[begin:end], tokenizer.is_added(token_id)))
        begin = max(begin, end)
    return pieces


def _plain_pieces(messages: Sequence[Message]) -> list[Piece]:
    pieces = []
    for turn in messages:
        pieces += [Piece(f"{turn.role}:\n", True), Piece(f"{turn.content}\n\n")]
    return [*pieces, Piece("assistant:\n", True)]


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
