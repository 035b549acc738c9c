"""Which rows are read together: those of like length, and no more tokens than memory can hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

BATCH_ROWS: Final = 32
# With SmolLM2 in fp32 on a CPU, a token of a prompt took 0.17 MiB while answers were written.
BATCH_TOKENS: Final = 16_384


def batches(
    lengths: Sequence[int], rows: int = BATCH_ROWS, tokens: int = BATCH_TOKENS
) -> Iterator[list[int]]:
    """The places of all lengths, shortest first: at most ``rows``, and ``tokens`` with padding.

    What is longer than that alone is read alone.
    """
    together: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        is_full = len(together) == rows
        if together and (is_full or (len(together) + 1) * lengths[place] > tokens):
            yield together
            together = []
        together.append(place)
    if together:
        yield together
