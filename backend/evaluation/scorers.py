"""Scorers: a function of an answer and what was wanted that returns a score with its reason."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from backend.data.demonstration import Demonstration

Target = str | tuple[str, ...]
# Some chat templates open the block in the prompt, so that an answer holds only its end.
_THINK = re.compile(r"\A((?!<think>).)*?</think>|<think>.*?(</think>|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Score:
    """A value in 0..1 and a few words on why."""

    value: float
    reason: str


Scorer = Callable[[str, Target], Score]


def strip_thinking(answer: str) -> str:
    """The answer without its ``<think>`` blocks, also one that never ends."""
    return _THINK.sub("", answer).strip()


def exact(answer: str, target: Target) -> Score:
    """1 if the answer is the reference, but for white space around it."""
    return _verdict(answer.strip() == _one(target).strip(), "equal", "differs")


def normalised(answer: str, target: Target) -> Score:
    """1 if both are equal without case, punctuation, articles and runs of white space."""
    same = _normalise(answer) == _normalise(_one(target))
    return _verdict(same, "equal after normalising", "differs after normalising")


def parts(answer: str, target: Target) -> Score:
    """1 if the answer contains every part of the reference, in any case."""
    wanted = (target,) if isinstance(target, str) else target
    missing = [part for part in wanted if part.casefold() not in answer.casefold()]
    return _verdict(not missing, "has every part", f"lacks {', '.join(map(repr, missing))}")


SCORERS: Final[Mapping[str, Scorer]] = {"exact": exact, "normalised": normalised, "parts": parts}


def score(name: str, answer: str, row: Demonstration) -> Score:
    """What scorer ``name`` says of an answer to ``row``; thinking is stripped first."""
    return SCORERS[name](strip_thinking(answer), row.target)


def _one(target: Target) -> str:
    return target if isinstance(target, str) else "\n".join(target)


def _verdict(passed: bool, yes: str, no: str) -> Score:
    return Score(float(passed), yes if passed else no)


def _normalise(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold()
    text = text.translate(str.maketrans(string.punctuation, " " * len(string.punctuation)))
    return " ".join(word for word in text.split() if word not in {"a", "an", "the"})
