"""What is odd about good rows: worth a word before training, no reason to refuse them."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Final

from backend.data.demonstration import Demonstration
from backend.data.mapping import ColumnMapping
from backend.data.report import Findings, count_of
from backend.data.split import group_by_prompt

_CONSTANT_SHARE: Final = 0.9
_CONSTANT_ROWS: Final = 5
_LONG_FACTOR: Final = 20
_LONG_CHARS: Final = 2000


def look_over(rows: Sequence[Demonstration], mapping: ColumnMapping, findings: Findings) -> None:
    """Warns of unused columns, prompts with several answers, constant answers and long rows."""
    if mapping.forgotten:
        names = ", ".join(f'"{name}"' for name in mapping.forgotten)
        findings.warn(
            "unused_column",
            len(mapping.forgotten),
            f"not used: {names}; map it, or join it with the prompt, if it belongs to the rows",
        )
    _warn_of_several_answers(rows, findings)
    _warn_of_constant_answers(rows, findings)
    _warn_of_long_rows(rows, findings)


def _warn_of_several_answers(rows: Sequence[Demonstration], findings: Findings) -> None:
    several = [group for group in group_by_prompt(rows).values() if len(group) > 1]
    if several:
        kept = sum(len(group) for group in several)
        findings.warn(
            "same_prompt",
            kept,
            f"{count_of(kept, 'row')} share {count_of(len(several), 'prompt')} with different "
            f"demonstrations ({_places(several[0])}); all are kept, on one side of the split",
        )


def _warn_of_constant_answers(rows: Sequence[Demonstration], findings: Findings) -> None:
    if len(rows) < _CONSTANT_ROWS:
        return
    ((text, times),) = Counter(row.demonstration for row in rows).most_common(1)
    if times >= _CONSTANT_SHARE * len(rows):
        findings.warn(
            "constant_answer",
            times,
            f"{times:,} of {len(rows):,} demonstrations are the same text ({text[:40]!r}): "
            "a model would learn to say it always",
        )


def _warn_of_long_rows(rows: Sequence[Demonstration], findings: Findings) -> None:
    lengths = [_length(row) for row in rows]
    limit = max(_LONG_CHARS, _LONG_FACTOR * statistics.median(lengths)) if lengths else 0
    long = [row for row, length in zip(rows, lengths, strict=True) if length > limit]
    findings.warn(
        "long_row",
        len(long),
        f"{count_of(len(long), 'row')} ({_places(long)}) have over {limit:,.0f} characters, far "
        "more than most; those that do not fit the model's context are skipped in training",
    )


def _length(row: Demonstration) -> int:
    return sum(len(turn.content) for turn in row.messages) + len(row.demonstration)


def _places(rows: Sequence[Demonstration]) -> str:
    shown = ", ".join(str(row.row) for row in rows[:5])
    return f"row {shown}" if len(rows) == 1 else f"rows {shown}{', ...' if len(rows) > 5 else ''}"
