"""The shape of a bundled task row, and how rows are drawn from templates."""

import random
from collections.abc import Callable, Iterator, Mapping
from typing import TypedDict

TRAINING_ROWS = 400
HELD_OUT_ROWS = 96
# Far above what any skill needs; reaching it means that a skill has too few templates.
MOST_DRAWS = 20_000


class Row(TypedDict):
    """One demonstration; `reference` is what the task's scorer compares an answer with."""

    id: str
    prompt: str
    demonstration: str
    reference: str | list[str]
    tags: list[str]


Draw = Callable[[random.Random, int], Row]
Pools = Mapping[str, tuple[str, ...]]


def pool(text: str) -> tuple[str, ...]:
    """Returns the values of a comma-separated list."""
    return tuple(value.strip() for value in text.split(","))


def draw_values(rng: random.Random, pools: Pools) -> dict[str, str]:
    """Returns one value for each slot."""
    return {slot: rng.choice(values) for slot, values in pools.items()}


def sentence(text: str) -> str:
    """Returns the text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def distinct_rows(prefix: str, seed: int, count: int, draw: Draw) -> list[Row]:
    """Returns `count` rows with different prompts, ids `prefix-001` on; the seed fixes them.

    Raises RuntimeError when the templates do not yield enough different prompts.
    """
    return list(_distinct(prefix, random.Random(seed), count, draw))


def _distinct(prefix: str, rng: random.Random, count: int, draw: Draw) -> Iterator[Row]:
    seen: set[str] = set()
    for _ in range(MOST_DRAWS):
        if len(seen) == count:
            return
        row = draw(rng, len(seen))
        if row["prompt"] in seen:
            continue
        seen.add(row["prompt"])
        row["id"] = f"{prefix}-{len(seen):03d}"
        yield row
    raise RuntimeError(f"{prefix}: {len(seen)} different prompts, {count} needed; add templates")
