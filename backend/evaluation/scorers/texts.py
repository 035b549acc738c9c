"""Scorers that compare texts: exact, normalised, parts, contains, word-f1."""

from __future__ import annotations

import string
import unicodedata
from collections import Counter
from typing import Final

from pydantic import Field

from backend.config import Frozen
from backend.data.demonstration import Demonstration
from backend.evaluation.scorers.scorer import (
    NoParameters,
    Score,
    Scorer,
    Target,
    one_text,
    pure,
    quoted,
    verdict,
)

_NAMED: Final = 5
_ARTICLES: Final = frozenset({"a", "an", "the"})
_PUNCTUATION: Final = str.maketrans(string.punctuation, " " * len(string.punctuation))


class ContainsParameters(Frozen):
    """How the parts of a reference are looked for."""

    any: bool = Field(False, description="one part of the reference is enough")
    case: bool = Field(False, description="capital and small letters differ")


def exact(answer: str, row: Demonstration, _: NoParameters) -> Score:
    """1 if the answer is the reference, but for white space around it."""
    return verdict(answer.strip() == one_text(row.target).strip(), "equal", "differs")


def normalised(answer: str, row: Demonstration, _: NoParameters) -> Score:
    """1 if both have the same words in the same order."""
    same = _words(answer) == _words(one_text(row.target))
    return verdict(same, "equal after normalising", "differs after normalising")


def parts(answer: str, row: Demonstration, _: NoParameters) -> Score:
    """1 if the answer contains every part of the reference, in any case."""
    return contains(answer, row, ContainsParameters())


def contains(answer: str, row: Demonstration, parameters: ContainsParameters) -> Score:
    """1 if every part of the reference, or any of them, stands in the answer."""
    wanted = _parts(row.target)
    text = answer if parameters.case else answer.casefold()
    missing = [w for w in wanted if (w if parameters.case else w.casefold()) not in text]
    if parameters.any:
        found = [part for part in wanted if part not in missing]
        no = f"has none of {_listed(wanted)}"
        return verdict(bool(found), f"has {_listed(found)}", no)
    return verdict(not missing, "has every part", f"lacks {_listed(missing)}")


def word_f1(answer: str, row: Demonstration, _: NoParameters) -> Score:
    """F1 of the bags of words, as SQuAD's (Rajpurkar et al. 2016)."""
    written, wanted = _words(answer), _words(one_text(row.target))
    if written == wanted:
        return Score(1.0, "the same words")
    shared = sum((Counter(written) & Counter(wanted)).values())
    value = 2 * shared / (len(written) + len(wanted))
    return Score(
        value, f"{shared} words shared, {len(written)} in the answer, {len(wanted)} wanted"
    )


def _parts(target: Target) -> tuple[str, ...]:
    return (target,) if isinstance(target, str) else target


def _listed(texts: tuple[str, ...] | list[str]) -> str:
    shown = ", ".join(map(quoted, texts[:_NAMED]))
    return f"{shown} and {len(texts) - _NAMED} more" if len(texts) > _NAMED else shown


def _words(text: str) -> list[str]:
    """Words without case, punctuation and articles."""
    text = unicodedata.normalize("NFKC", text).casefold().translate(_PUNCTUATION)
    return [word for word in text.split() if word not in _ARTICLES]


EXACT: Final = Scorer(
    "exact",
    "The answer is the reference, but for white space around both.",
    NoParameters,
    pure(exact),
)
NORMALISED: Final = Scorer(
    "normalised",
    "Both are equal without case, punctuation, articles (a, an, the) and runs of white space.",
    NoParameters,
    pure(normalised),
)
PARTS: Final = Scorer(
    "parts",
    "The answer contains every part of the reference, in any case.",
    NoParameters,
    pure(parts),
)
CONTAINS: Final = Scorer(
    "contains",
    "The answer contains every part of the reference, or any of them, with or without case.",
    ContainsParameters,
    pure(contains),
)
WORD_F1: Final = Scorer(
    "word-f1",
    "F1 of the words that answer and reference share, without case, punctuation and articles; "
    "their order does not count.",
    NoParameters,
    pure(word_f1),
)
