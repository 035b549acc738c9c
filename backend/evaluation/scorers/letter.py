"""The scorer choice: the letter of a multiple-choice answer."""

from __future__ import annotations

import re
from typing import Final

from pydantic import Field

from backend.config import Frozen
from backend.data.demonstration import Demonstration
from backend.evaluation.scorers.scorer import (
    Score,
    Scorer,
    ScorerFailed,
    one_text,
    pure,
    quoted,
    verdict,
)


class ChoiceParameters(Frozen):
    """Which letters there are to choose from."""

    letters: str = Field(
        "ABCDEFGHIJ", pattern=r"^[A-Z]{2,26}$", description="the letters that can be an answer"
    )


def by_letter(answer: str, row: Demonstration, parameters: ChoiceParameters) -> Score:
    """1 if the answer's letter is the reference's."""
    wanted = chosen_letter(one_text(row.target), parameters.letters)
    if not wanted:
        raise ScorerFailed(
            f"the reference {quoted(one_text(row.target))} names no letter of {parameters.letters}",
            where=f"row {row.row}",
            remedy="put a letter there, or choose another scorer",
        )
    found = chosen_letter(answer, parameters.letters)
    if not found:
        return Score(0.0, "the answer names no letter")
    return verdict(found == wanted, f"chose {found}", f"chose {found} instead of {wanted}")


def chosen_letter(text: str, letters: str) -> str:
    """The letter that a text chooses, or nothing.

    In this order: ``answer is B``, ``\\boxed{B}``, a text that begins with ``B.``, ``(B)`` or is
    ``b`` alone, the last ``(B)`` in it, the last capital B that stands alone. ``A`` and ``I``
    before a word are words themselves.
    """
    one = f"[{letters}{letters.lower()}]"
    stated = rf"(?i:\b(?:answer|choice|option)\b(?:\s+is)?\s*[:=]?\s*)[*_\"'(\[]*({one})\b(?!['’])"
    ways = (
        (rf"{stated}(?!(?<=[ai])\s+[a-z])", -1),
        (rf"\\boxed\{{\s*(?:\\text\{{)?\s*({one})\s*\}}", -1),
        (rf"\A[\s*_\"']*[(\[]({one})[)\]]", 0),
        (rf"\A[\s*_\"']*({one})(?:[.):*_]|\s*\n|\s*\Z)", 0),
        (rf"[(\[]({one})[)\]]", -1),
        (rf"(?<![\w'’])([{letters}])(?![\w'’])(?!(?<=[AI])\s+[a-z])", -1),
    )
    for pattern, place in ways:
        found = re.findall(pattern, text)
        if found:
            return str(found[place]).upper()
    return ""


CHOICE: Final = Scorer(
    "choice",
    "The letter of a multiple-choice answer is the letter of the reference, however it is written.",
    ChoiceParameters,
    pure(by_letter),
    short="letters",
)
