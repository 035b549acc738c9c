"""Rollouts kept token by token: one summary row, one compressed blob of arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard
from safetensors.numpy import load, save
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session, undefer

from storage.database import Database
from storage.models import Trace

Arrays = dict[str, npt.NDArray[Any]]


class Traces:
    """The traces of all runs; rows come without their blob."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_run(self, run_id: str, step: int | None = None) -> list[Trace]:
        """A run's traces by step, kind and position."""
        statement = select(Trace).where(Trace.run_id == run_id)
        if step is not None:
            statement = statement.where(Trace.step == step)
        statement = statement.order_by(Trace.step, Trace.kind, Trace.position)
        with self._database.read() as session:
            return list(session.scalars(statement))

    def steps(self, run_id: str) -> list[int]:
        """The steps that have traces."""
        statement = select(Trace.step).where(Trace.run_id == run_id).distinct()
        with self._database.read() as session:
            return list(session.scalars(statement.order_by(Trace.step)))

    def traced_steps(self, run_ids: Sequence[str]) -> dict[str, int]:
        """How many steps of these runs have traces; runs without any are absent."""
        statement = select(Trace.run_id, func.count(Trace.step.distinct())).group_by(Trace.run_id)
        statement = statement.where(Trace.run_id.in_(run_ids))
        with self._database.read() as session:
            return {row[0]: row[1] for row in session.execute(statement)}

    def rows(self, run_id: str) -> Iterator[dict[str, Any]]:
        """A run's traces as plain values by column, with their blobs, one after the other."""
        statement = select(Trace.__table__).where(Trace.run_id == run_id).order_by(Trace.id)
        with self._database.read() as session:
            for row in session.execute(statement.execution_options(yield_per=16)).mappings():
                yield dict(row)

    def get(self, trace_id: str) -> Trace | None:
        with self._database.read() as session:
            return session.get(Trace, trace_id)

    def tokens(self, trace_id: str) -> Arrays | None:
        """The arrays of a trace by name; those it was stored without are absent."""
        statement = select(Trace).where(Trace.id == trace_id).options(undefer(Trace.blob))
        with self._database.read() as session:
            trace = session.scalar(statement)
            return None if trace is None else unpack(trace.blob)


def pack(arrays: Mapping[str, npt.NDArray[Any] | None]) -> bytes:
    """The arrays as compressed safetensors; absent ones are left out."""
    present = {
        name: np.ascontiguousarray(array) for name, array in arrays.items() if array is not None
    }
    return zstandard.ZstdCompressor(level=3).compress(save(present))


def unpack(blob: bytes) -> Arrays:
    """The arrays of a packed blob."""
    arrays: Arrays = load(zstandard.ZstdDecompressor().decompress(blob))
    return arrays


def put_trace(session: Session, trace: Trace) -> None:
    """Stores a trace; one of the same run, step, kind and position is overwritten."""
    session.merge(trace)


def trace_id(run_id: str, step: int, kind: str, position: int) -> str:
    """The id of a trace: a link to it survives a resume that makes it again."""
    return f"{run_id}.{step}.{kind}.{position}"


def stored_bytes(session: Session, run_id: str) -> int:
    """How much a run's traces take."""
    return int(session.scalar(select(func.sum(Trace.bytes)).where(Trace.run_id == run_id)) or 0)


def forget_traces_after(session: Session, run_id: str, step: int) -> None:
    """Deletes a run's traces of steps after ``step``."""
    session.execute(delete(Trace).where(Trace.run_id == run_id, Trace.step > step))
