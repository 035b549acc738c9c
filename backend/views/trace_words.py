"""What a trace shows, in a sentence."""

from __future__ import annotations

import math
from typing import Any

from backend.jobs.documents import Document

_SIGNS = str.maketrans({" ": "·", "\n": "↵", "\t": "⇥"})


def most_divergent(document: Document) -> str:
    """Where teacher and student disagree most among the tokens that count, in words.

    Without a teacher: the token that the student found least likely.
    """
    divergences = document["divergences"]
    counted = [
        i for i, weight in enumerate(document["weights"])
        if weight and divergences[i] is not None
    ]  # fmt: skip
    if not counted:
        return "No token of this rollout counts in the loss."
    i = max(counted, key=lambda place: divergences[place])
    student, teacher = document["roles"]["student"], document["roles"]["teacher"]
    word = _quoted(document, document["tokens"][i])
    begin = f"At token {i + 1} {_written(document, word, _p(student['logprobs'][i]))}"
    if teacher is None:
        return f"{begin}{_own_wish(document, student, i)}."
    wish, sure = _first(document, teacher, i)
    if wish == word:
        return f"{begin}; the teacher prefers the same, with p {sure}."
    given = _p(teacher["logprobs"][i])
    return f"{begin}, the teacher prefers {wish} with p {sure} and gives {word} p {given}."


def _written(document: Document, word: str, p: str) -> str:
    if document["source"] == "student":
        return f"the student writes {word} with p {p}"
    return f"the {document['source']} has {word}, to which the student gives p {p}"


def _own_wish(document: Document, student: Document, i: int) -> str:
    wish, sure = _first(document, student, i)
    if wish == _quoted(document, document["tokens"][i]):
        return ", where the loss is highest"
    return f"; it would rather write {wish} (p {sure})"


def _first(document: Document, role: Document, i: int) -> tuple[str, str]:
    """A role's likeliest token and its probability."""
    place = i * role["width"]
    return _quoted(document, role["top"][place]), _p(role["top_logprobs"][place])


def _quoted(document: Document, place: int) -> str:
    text: Any = document["texts"][place]
    return f"“{str(text).translate(_SIGNS)}”"


def _p(logprob: float | None) -> str:
    """A probability as it stands after a "p": ``= 0.93``, or ``below 0.01``."""
    value = 0.0 if logprob is None else math.exp(logprob)
    return f"= {value:.2f}" if value >= 0.01 else "below 0.01"
