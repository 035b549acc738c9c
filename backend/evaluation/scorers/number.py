"""The scorer number: the last number of the answer is that of the reference."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from pydantic import Field

from backend.config import Frozen
from backend.data.demonstration import Demonstration
from backend.evaluation.scorers.scorer import Score, Scorer, ScorerFailed, one_text, pure, verdict

# Commas between groups of three digits, or none; what has more than 60 digits is no number here.
_NUMBER: Final = re.compile(
    r"(?<![\w.])[-+−]?(?:(?:\d{1,3}(?:,\d{3}){1,19}|\d{1,60})(?!\d)(?:\.\d{1,60}(?!\d))?"
    r"|\.\d{1,60}(?!\d))(?:[eE][-+]?\d{1,3}(?!\d))?"
)


class NumberParameters(Frozen):
    """Which number counts, and how near is near enough."""

    tolerance: float = Field(0.0, ge=0, description="how far it may be off, as a number")
    relative: float = Field(0.0, ge=0, description="how far it may be off, as a share: 0.01 is 1 %")
    first: bool = Field(False, description="the first number of the answer counts, not the last")


def by_number(answer: str, row: Demonstration, parameters: NumberParameters) -> Score:
    """1 if the number is there and near enough; without tolerance it is compared exactly."""
    wanted = numbers(one_text(row.target))
    if not wanted:
        raise ScorerFailed(
            "the reference holds no number",
            where=f"row {row.row}",
            remedy="put a number there, or choose another scorer",
        )
    goal = wanted[-1]
    found = numbers(answer)
    if not found:
        return Score(0.0, "the answer holds no number")
    value = found[0 if parameters.first else -1]
    room = max(Decimal(parameters.tolerance), abs(goal) * Decimal(parameters.relative))
    return verdict(abs(value - goal) <= room, f"{value} is right", f"{value} instead of {goal}")


def numbers(text: str) -> list[Decimal]:
    """The numbers in a text, in order."""
    return [
        Decimal(found[0].replace(",", "").replace("−", "-")) for found in _NUMBER.finditer(text)
    ]


NUMBER: Final = Scorer(
    "number",
    "The last number in the answer is the last number of the reference, exactly or nearly.",
    NumberParameters,
    pure(by_number),
    short="tolerance",
)
