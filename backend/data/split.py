"""Parts rows into training and held-out ones: seeded, without doubles, each prompt on one side."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from backend.data.demonstration import Demonstration
from backend.data.report import FileError, count_of

Rows = list[Demonstration]


def parse_held_out(text: str) -> float | int | Path:
    """``0.2`` as a share, ``40`` as a number of rows, anything else as a file."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return Path(text)


def drop_duplicates(rows: Iterable[Demonstration]) -> tuple[Rows, int]:
    """The first of all rows with equal messages and demonstration, and how many were dropped."""
    kept: dict[tuple[object, str], Demonstration] = {}
    total = 0
    for row in rows:
        total += 1
        turns = tuple((turn.role, turn.content) for turn in row.messages)
        kept.setdefault((turns, row.demonstration), row)
    return list(kept.values()), total - len(kept)


def prompt_key(row: Demonstration) -> str:
    """Equal for prompts that differ in spaces or case only: apart, one would tell of the other."""
    return "\0".join(
        f"{turn.role}\0{' '.join(turn.content.split()).casefold()}" for turn in row.messages
    )


def group_by_prompt(rows: Iterable[Demonstration]) -> dict[str, Rows]:
    """Rows of one prompt together, in the order in which prompts first appear."""
    groups: dict[str, Rows] = {}
    for row in rows:
        groups.setdefault(prompt_key(row), []).append(row)
    return groups


def split_rows(
    rows: Sequence[Demonstration], held_out: float | int, seed: int
) -> tuple[Rows, Rows]:
    """Training and held-out rows, each in the order of ``rows``; ``rows`` holds no doubles.

    A prompt's place in the draw depends on seed and text alone, so that rows added later move
    few others. Fewer rows than wanted are held out where a prompt's rows would not fit.
    Raises FileError where one side would be empty.
    """
    groups = group_by_prompt(rows)
    wanted = _wanted(held_out, len(rows))
    if len(groups) < 2:
        raise FileError(
            "held_out",
            f"all {len(rows):,} rows have the same prompt, so none can be held out",
            "add rows with other prompts, or hold out a file of its own",
        )
    chosen = _draw({key: len(group) for key, group in groups.items()}, wanted, seed)
    apart = {id(row) for key in chosen for row in groups[key]}
    training = [row for row in rows if id(row) not in apart]
    return training, [row for row in rows if id(row) in apart]


def _wanted(held_out: float | int, rows: int) -> int:
    """How many rows to hold out: at least one, and not all."""
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


def _draw(sizes: Mapping[str, int], wanted: int, seed: int) -> set[str]:
    """Prompts in seeded order, as long as their rows fit into ``wanted``; at least one prompt."""
    order = sorted(sizes, key=lambda key: _rank(key, seed))
    chosen: set[str] = set()
    room = wanted
    for key in order:
        if sizes[key] <= room:
            chosen.add(key)
            room -= sizes[key]
    return chosen or {min(order, key=sizes.__getitem__)}


def _rank(key: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{key}".encode()).digest()


def drop_leaks(training: Iterable[Demonstration], held_out: Iterable[Demonstration]) -> Rows:
    """The training rows whose prompts are not held out."""
    kept_back = {prompt_key(row) for row in held_out}
    return [row for row in training if prompt_key(row) not in kept_back]
