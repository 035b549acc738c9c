"""What is odd about good rows: worth a word before training, no reason to refuse them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from backend.data.columns import NAMES, TARGETS, Target, plain
from backend.data.fields import INVISIBLE
from backend.data.gathering import Gathering, Numbers
from backend.data.mapping import ColumnMapping
from backend.data.near import near_duplicates, near_words
from backend.data.parting import Parted
from backend.data.report import Findings, count_of

_CONSTANT_SHARE: Final = 0.9
_CONSTANT_ROWS: Final = 5
_LONG_FACTOR: Final = 20
_LONG_CHARS: Final = 2000
# Up to so many rows, near-duplicates are looked for at once; beyond, by a job of their own.
NEAR_ROWS: Final = 5_000
_NEAR_CHARS: Final = 8 << 20


def look_over(
    gathered: Gathering, parted: Parted, mapping: ColumnMapping, findings: Findings
) -> None:
    """Warns of unused and mixed columns, several or constant answers, long rows and likeness."""
    if mapping.forgotten:
        names = ", ".join(f'"{name}"' for name in mapping.forgotten)
        findings.warn(
            "unused_column",
            len(mapping.forgotten),
            f"not used: {names}; map it, or join it with the prompt, if it belongs to the rows",
        )
    _warn_of_mixed_names(findings)
    places = np.concatenate([parted.training, parted.held_out])
    _warn_of_several_answers(gathered, places, findings)
    _warn_of_constant_answers(gathered, places, findings)
    _warn_of_long_rows(gathered, places, findings)
    _warn_of_invisible(gathered, places, findings)
    _warn_of_near(gathered, parted, findings)


def _warn_of_mixed_names(findings: Findings) -> None:
    """Rows that name one thing otherwise than most, as files joined from several sources do."""
    for target in TARGETS:
        named: dict[str, list[int]] = {}
        for names, (count, row) in findings.column_sets.items():
            name = _name_of(target, names)
            if name is not None:
                seen = named.setdefault(name, [0, row])
                seen[0] += count
        if len(named) > 1:
            (most, _), *others = sorted(named.items(), key=lambda entry: -entry[1][0])
            for name, (count, row) in others:
                findings.warn(
                    "mixed_names",
                    count,
                    f'{count_of(count, "row")} (first: row {row}) name the {target} "{name}", '
                    f'most others "{most}": give it one name in all rows',
                )


def _name_of(target: Target, names: Sequence[str]) -> str | None:
    """How a row with these fields names a target, where just one field can be meant."""
    known = [name for name in names if plain(name) in NAMES[target]]
    return known[0] if len(known) == 1 else None


def _warn_of_several_answers(gathered: Gathering, places: Numbers, findings: Findings) -> None:
    _, inverse, counts = np.unique(
        gathered.column("prompt", places), return_inverse=True, return_counts=True
    )
    several = int((counts > 1).sum())
    if several:
        shared = counts[inverse] > 1
        first = places[inverse == inverse[np.flatnonzero(shared)[0]]]
        kept = int(shared.sum())
        findings.warn(
            "same_prompt",
            kept,
            f"{count_of(kept, 'row')} share {count_of(several, 'prompt')} with different "
            f"demonstrations ({_places(gathered, first)}); all are kept, on one side of the split",
        )


def _warn_of_constant_answers(gathered: Gathering, places: Numbers, findings: Findings) -> None:
    if len(places) < _CONSTANT_ROWS:
        return
    _, first, counts = np.unique(
        gathered.column("answer", places), return_index=True, return_counts=True
    )
    most = int(np.argmax(counts))
    times = int(counts[most])
    if times >= _CONSTANT_SHARE * len(places):
        text = gathered.rows([places[first[most]]])[0].demonstration
        findings.warn(
            "constant_answer",
            times,
            f"{times:,} of {len(places):,} demonstrations are the same text ({text[:40]!r}): "
            "a model would learn to say it always",
        )


def _warn_of_long_rows(gathered: Gathering, places: Numbers, findings: Findings) -> None:
    lengths = gathered.column("length", places)
    limit = max(_LONG_CHARS, _LONG_FACTOR * float(np.median(lengths))) if len(lengths) else 0
    long = places[lengths > limit]
    findings.warn(
        "long_row",
        len(long),
        f"{count_of(len(long), 'row')} ({_places(gathered, long)}) with over {limit:,.0f} "
        "characters, far more than most: what does not fit the model's context is skipped in "
        "training",
    )


def _warn_of_invisible(gathered: Gathering, places: Numbers, findings: Findings) -> None:
    found = places[gathered.column("invisible", places) == 1]
    if len(found):
        row = gathered.rows(found[:1])[0]
        texts = [*(turn.content for turn in row.messages), row.demonstration]
        mark = next(match[0] for text in texts if (match := INVISIBLE.search(text)))
        findings.warn(
            "invisible",
            len(found),
            f"{count_of(len(found), 'row')} ({_places(gathered, found)}) with characters that "
            f"nobody sees, such as U+{ord(mark):04X}; they are kept: remove them if they are not "
            "meant",
        )


def _warn_of_near(gathered: Gathering, parted: Parted, findings: Findings) -> None:
    """Held-out rows that nearly stand among the training rows: their scores tell of memory."""
    places = np.concatenate([parted.training, parted.held_out])
    characters = int(gathered.column("length", places).sum())
    if len(places) > NEAR_ROWS or characters > _NEAR_CHARS:
        return
    found = list(near_duplicates(gathered.rows(parted.training), gathered.rows(parted.held_out)))
    findings.warn("near_leak", len(found), near_words(found))


def _places(gathered: Gathering, places: Numbers) -> str:
    rows = gathered.column("row", places[:5]).tolist()
    shown = ", ".join(str(row) for row in rows)
    more = ", ..." if len(places) > 5 else ""
    return f"row {shown}" if len(places) == 1 else f"rows {shown}{more}"
