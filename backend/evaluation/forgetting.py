"""Continual learning in numbers: R[i][j] is the score on task j after stage i."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Matrix = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Summary:
    """Average accuracy, backward and forward transfer, and forgetting; None where T is 1."""

    acc: float
    bwt: float | None
    fwt: float | None
    forgetting: float | None


def summarise(R: Matrix, b: Sequence[float]) -> Summary:
    """ACC, BWT, FWT (Lopez-Paz and Ranzato 2017) and forgetting (Chaudhry et al. 2018).

    ``R`` is T x T, ``b[j]`` the score on task j before any stage. Raises ValueError otherwise.
    """
    stages = len(R)
    if stages == 0 or len(b) != stages or any(len(row) != stages for row in R):
        raise ValueError("R must be square, and b as long as R")
    last = R[-1]
    acc = sum(last) / stages
    if stages == 1:
        return Summary(acc, None, None, None)
    before = range(stages - 1)
    bwt = sum(last[j] - R[j][j] for j in before) / (stages - 1)
    fwt = sum(R[j - 1][j] - b[j] for j in range(1, stages)) / (stages - 1)
    lost = sum(max(R[i][j] for i in before) - last[j] for j in before) / (stages - 1)
    return Summary(acc, bwt, fwt, lost)
