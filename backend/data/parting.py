"""Which rows train and which are held out, of all that were gathered."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from backend.data.gathering import NO_GROUP, Gathering, Numbers, first_places
from backend.data.report import FileError, Findings, count_of
from backend.data.split import (
    DEFAULT_SHARE,
    Chosen,
    HeldOut,
    Together,
    check_chosen,
    check_partable,
    draw,
    units_of,
    wanted_rows,
)

MAIN, APART = 0, 1


class Parted(NamedTuple):
    """Places of the rows of both sides, and those among the held-out ones whose id is doubled."""

    training: Numbers
    held_out: Numbers
    prefixed: tuple[int, ...]
    by: str


def part(
    gathered: Gathering, places: Numbers, held_out: HeldOut, together: Together, findings: Findings
) -> Parted:
    """Parts the rows at ``places`` of one file. Raises FileError where one side would be empty."""
    trains, apart = gathered.sides(places)
    if held_out is None and apart.any():
        return _by_column(gathered, places, trains, apart, findings)
    findings.warn(
        "unused_split",
        int((trains | apart).sum() if apart.any() else 0),
        "the column that says train or test is not used: you chose otherwise what is held out",
    )
    units = units_of(gathered.column("prompt", places), gathered.column("group", places), NO_GROUP)
    prompts = gathered.column("prompt", places)
    is_one_prompt = bool((prompts == prompts[0]).all())
    check_partable(units, "prompt" if is_one_prompt else together, len(places))
    if isinstance(held_out, Chosen):
        marked = np.isin(units, units[gathered.column("marked", places) == 1])
        names = gathered.tags if held_out.by == "tag" else gathered.groups
        known = [name for name, _ in names.most_common()]
        check_chosen(held_out, known, int(marked.sum()), len(places))
        return Parted(places[~marked], places[marked], (), held_out.by)
    share = DEFAULT_SHARE if held_out is None or isinstance(held_out, Path) else held_out
    ranks = gathered.column("prompt_rank", places)
    grouped = gathered.column("group", places) != NO_GROUP
    ranks = np.where(grouped, gathered.column("group_rank", places), ranks)
    chosen = draw(units, ranks, wanted_rows(share, len(places)))
    by = "count" if isinstance(share, int) else "share"
    return Parted(places[~chosen], places[chosen], (), by)


def _by_column(
    gathered: Gathering, places: Numbers, trains: Any, apart: Any, findings: Findings
) -> Parted:
    if not trains.any():
        raise FileError(
            "held_out",
            "its own split has no row for training",
            "add rows that say train, or choose yourself what is held out",
        )
    parted = _without_leaks(gathered, places[trains], places[apart], "rows of the other split")
    _warn_of_leaks(findings, parted, int(trains.sum()), "the other split")
    if not len(parted.training):
        raise FileError(
            "held_out", "every prompt for training is also held out", "put other prompts apart"
        )
    return parted._replace(by="column")


def part_by_file(gathered: Gathering, rows: Numbers, apart: Numbers, findings: Findings) -> Parted:
    """Training rows without those whose prompts are held out, and held-out rows with own ids."""
    for name, places in (("file", rows), ("held-out file", apart)):
        if not len(places):
            raise FileError("too_few", f"the {name} has no row without fault", "add rows")
    parted = _without_leaks(gathered, rows, apart, "file")
    _warn_of_leaks(findings, parted, len(rows), "the held-out file")
    if not len(parted.training):
        raise FileError(
            "held_out",
            "every prompt of the file also stands in the held-out file",
            "give a held-out file with other rows",
        )
    return parted


def _without_leaks(gathered: Gathering, rows: Numbers, apart: Numbers, by: str) -> Parted:
    leaks = np.isin(gathered.column("prompt", rows), gathered.column("prompt", apart))
    training = rows[~leaks]
    doubled = np.isin(gathered.column("id", apart), gathered.column("id", training))
    return Parted(training, apart, tuple(apart[doubled].tolist()), by)


def _warn_of_leaks(findings: Findings, parted: Parted, before: int, where: str) -> None:
    leaks = before - len(parted.training)
    findings.warn(
        "leak",
        leaks,
        f"{count_of(leaks, 'training row')} dropped: the prompt also stands in {where}",
    )


def distinct(gathered: Gathering, source: int, findings: Findings) -> Numbers:
    """Places of a file's rows without doubles, which are told of."""
    places = np.flatnonzero(gathered.column("source") == source).astype(np.int64)
    kept, earliest = first_places(gathered.column("texts", places), places)
    doubles = places[earliest != places]
    if len(doubles):
        firsts = earliest[earliest != places]
        rows = gathered.column("row")
        example = f"row {rows[doubles[0]]} as row {rows[firsts[0]]}"
        count = len(doubles)
        findings.warn(
            "duplicate",
            count,
            f"{count_of(count, 'duplicate')} of earlier rows dropped ({example})",
        )
    return kept
