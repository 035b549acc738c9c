"""Whether a scorer can judge a task's rows: to each, its own right answer has to be right."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final

from backend.data.demonstration import Demonstration
from backend.data.report import count_of
from backend.evaluation.scorers.choosing import Chosen, Opened
from backend.evaluation.scorers.scorer import Score, one_text

# So many rows tell enough, and take well under a second.
MOST_ROWS: Final = 2_000
_FULL: Final = 1 - 1e-9
_SHOWN: Final = 200


def unsuited(chosen: Chosen, rows: Sequence[Demonstration]) -> tuple[int, str]:
    """How many of the first rows get less than the full score for their own answer, in words.

    The answer is the reference, or the demonstration where that does not get it: a pattern takes
    its groups out of a whole answer. Scorers that run programs or ask others are not tried.
    """
    if chosen.scorer.outside:
        return 0, ""
    opened = chosen.open(None)
    looked_at, count, example = 0, 0, ""
    for row in islice(rows, MOST_ROWS):
        looked_at += 1
        reason = _reason(opened, row)
        if reason:
            count += 1
            example = example or f"row {row.row}: {reason[:_SHOWN]}"
    return count, (
        f"the scorer {chosen.scorer.name} does not suit {count:,} of "
        f"{count_of(looked_at, 'held-out row')}: their own answers do not get the full score "
        f"({example}); choose another scorer, or change what stands in these rows"
    )


def _reason(opened: Opened, row: Demonstration) -> str:
    """Why a row's own answers are not taken for right; empty where one of them is."""
    first = ""
    for answer in dict.fromkeys((one_text(row.target), row.demonstration)):
        found = opened.try_score(answer, row)
        if isinstance(found, Score) and found.value >= _FULL:
            return ""
        first = first or (found.reason if isinstance(found, Score) else found.message)
    return first
