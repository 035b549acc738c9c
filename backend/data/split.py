"""Parts rows into training and held-out ones: seeded, without doubles, each prompt on one side."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backend.data.demonstration import Demonstration
from backend.data.report import FileError, count_of
from backend.errors import DataError

Together = Literal["prompt", "tag", "group"]
DEFAULT_SHARE: Final = 0.2
AUTOMATIC: Final = "auto"
Numbers = NDArray[np.int64]
# As wide as the columns that ranks are kept in.
_RANK_BITS: Final = 63


class Chosen(NamedTuple):
    """Held out is what has one of these tags, or is of one of these groups."""

    by: Literal["tag", "group"]
    names: tuple[str, ...]


# A share of the rows, a number of them, a file, tags or groups; None: what the file itself says.
HeldOut = float | int | Path | Chosen | None


def parse_held_out(text: str) -> HeldOut:
    """``0.2`` is a share, ``40`` a number of rows, ``tag=a,b`` and ``group=a`` name rows, ``auto``
    is the file's own split or 0.2, anything else a file. Raises DataError for no name."""
    if text == AUTOMATIC:
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    by, equals, names = text.partition("=")
    if equals and by in ("tag", "group") and not Path(text).exists():
        wanted = tuple(name.strip() for name in names.split(",") if name.strip())
        if not wanted:
            raise DataError(
                f'"{text}" names no {by}', where="held_out", remedy=f"write it as {by}=NAME"
            )
        return Chosen("tag" if by == "tag" else "group", wanted)
    return Path(text)


def prompt_key(row: Demonstration) -> str:
    """Equal for prompts that differ in spaces or case only: apart, one would tell of the other."""
    return "\0".join(
        f"{turn.role}\0{' '.join(turn.content.split()).casefold()}" for turn in row.messages
    )


def draw_rank(key: str, seed: int) -> int:
    """A prompt's place in the draw: it depends on seed and text alone, so that rows added later
    move few others."""
    digest = hashlib.sha256(f"{seed}\0{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - _RANK_BITS)


def units_of(prompts: Numbers, groups: Numbers, no_group: int) -> Numbers:
    """What cannot be parted, as a number for each row: rows of one prompt, or of one group."""
    _, units = np.unique(prompts, return_inverse=True)
    grouped = groups != no_group
    if not grouped.any():
        return units.astype(np.int64)
    # A prompt may stand in several groups: what hangs together by any way is one unit.
    _, named = np.unique(groups[grouped], return_inverse=True)
    count = int(units.max()) + 1
    parents = list(range(count + int(named.max()) + 1))
    pairs = np.unique(np.stack([units[grouped], named + count], axis=1), axis=0)
    for prompt, group in pairs.tolist():
        parents[_root(parents, prompt)] = _root(parents, group)
    roots = np.array([_root(parents, unit) for unit in range(count)], dtype=np.int64)
    _, compact = np.unique(roots[units], return_inverse=True)
    return compact.astype(np.int64)


def _root(parents: list[int], node: int) -> int:
    while parents[node] != node:
        parents[node] = parents[parents[node]]
        node = parents[node]
    return node


def wanted_rows(held_out: float | int, rows: int) -> int:
    """How many rows to hold out: at least one, and not all. Raises FileError."""
    if isinstance(held_out, int):
        if not 0 < held_out < rows:
            raise FileError(
                "held_out",
                f"cannot hold out {count_of(held_out, 'row')} of {rows:,} distinct ones",
                f"hold out at least 1 and at most {rows - 1:,}, or a share such as 0.2",
            )
        return held_out
    if not 0 < held_out < 1:
        raise FileError(
            "held_out",
            f"cannot hold out a share of {held_out:g}",
            "give a share between 0 and 1, a whole number of rows, or a file",
        )
    return min(max(round(held_out * rows), 1), rows - 1)


def draw(units: Numbers, ranks: Numbers, wanted: int) -> NDArray[np.bool_]:
    """Which rows to hold out: units in seeded order, as long as their rows fit into ``wanted``.

    At least one unit, and never all.
    """
    sizes = np.bincount(units)
    lowest = np.full(len(sizes), np.iinfo(np.int64).max)
    np.minimum.at(lowest, units, ranks)
    order = np.argsort(lowest, kind="stable")
    chosen = np.zeros(len(sizes), dtype=bool)
    room = wanted
    for unit, size in zip(order.tolist(), sizes[order].tolist(), strict=True):
        if size <= room:
            chosen[unit] = True
            room -= size
        if not room:
            break
    if not chosen.any():
        chosen[min(order.tolist(), key=lambda unit: int(sizes[unit]))] = True
    return chosen[units]


def check_partable(units: Numbers, together: Together, rows: int) -> None:
    """Raises FileError where all rows hang together."""
    if len(np.unique(units)) >= 2:
        return
    what = {"prompt": "have the same prompt", "tag": "share a tag", "group": "are of one group"}
    raise FileError(
        "held_out",
        f"all {rows:,} rows {what[together]}, so none can be held out",
        "add rows with other prompts, or hold out a file of its own"
        if together == "prompt"
        else f"add rows of another {together}, or keep only prompts together",
    )


def check_chosen(chosen: Chosen, known: Sequence[str], marked: int, rows: int) -> None:
    """Raises FileError where the names hold out nothing, or everything."""
    names = ", ".join(f'"{name[:40]}"' for name in chosen.names)
    if not marked:
        shown = ", ".join(f'"{name[:40]}"' for name in known[:20]) or "none"
        raise FileError(
            "held_out",
            f"no row has the {chosen.by} {names}",
            f"choose among its {chosen.by}s: {shown}",
        )
    if marked == rows:
        raise FileError(
            "held_out",
            f"all rows have the {chosen.by} {names}, or a prompt of those that have",
            f"hold out another {chosen.by}",
        )
