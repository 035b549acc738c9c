"""The scorer regex: a pattern is found in the answer, and its groups are the reference."""

from __future__ import annotations

from typing import Any, Final

import regex
from pydantic import Field, field_validator

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

# Some patterns take longer than the universe on some texts.
TIMEOUT_S: Final = 1.0


class RegexParameters(Frozen):
    """A pattern and how it is applied."""

    pattern: str = Field(
        min_length=1, max_length=2000, description="as Python writes it; its groups are compared"
    )
    case: bool = Field(True, description="capital and small letters differ")
    whole: bool = Field(False, description="the pattern has to match the whole answer")
    last: bool = Field(False, description="of several matches the last counts, not the first")

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            regex.compile(value)
        except (regex.error, RecursionError, OverflowError) as error:
            raise ValueError(
                f"this is no regular expression ({str(error)[:100]}); put it right, with \\ before "
                "a sign that is meant as itself"
            ) from None
        return value


def by_pattern(answer: str, row: Demonstration, parameters: RegexParameters) -> Score:
    """1 if the pattern matches and its groups, if it has any, are the parts of the reference."""
    compiled = regex.compile(parameters.pattern, 0 if parameters.case else regex.IGNORECASE)
    try:
        found = _match(compiled, answer, parameters)
    except TimeoutError as error:
        raise ScorerFailed(
            f"the pattern took more than {TIMEOUT_S:g} s on this answer",
            where="pattern",
            remedy="write it without repeats inside repeats",
        ) from error
    if found is None:
        return Score(0.0, "the pattern does not match")
    if not compiled.groups:
        return Score(1.0, f"the pattern matches {quoted(found[0])}")
    groups = [group.strip() for group in found.groups(default="")]
    one = isinstance(row.target, str) or len(groups) == 1
    wanted = [one_text(row.target).strip()] if one else [part.strip() for part in row.target]
    if len(groups) > 1 and len(wanted) == 1:
        # Alternatives such as (\d+)|no: the group that took part is meant.
        groups = [group for group in groups if group] or [""]
    same = groups == wanted or (not parameters.case and _folded(groups) == _folded(wanted))
    shown = ", ".join(map(quoted, groups))
    return verdict(
        same, f"found {shown}", f"found {shown} instead of {', '.join(map(quoted, wanted))}"
    )


def _match(compiled: Any, answer: str, parameters: RegexParameters) -> Any:
    if parameters.whole:
        return compiled.fullmatch(answer, timeout=TIMEOUT_S)
    if not parameters.last:
        return compiled.search(answer, timeout=TIMEOUT_S)
    found = None
    for found in compiled.finditer(answer, timeout=TIMEOUT_S):  # noqa: B007
        pass
    return found


def _folded(texts: list[str]) -> list[str]:
    return [text.casefold() for text in texts]


REGEX: Final = Scorer(
    "regex",
    "A regular expression matches the answer, and its groups, if it has any, are the parts of "
    "the reference.",
    RegexParameters,
    pure(by_pattern),
    short="pattern",
)
