"""Sequences of tasks: plans whose runs have the sequence's id as their group."""

from __future__ import annotations

from sqlalchemy import Select, select

from storage.database import Database, serialize
from storage.models import Run, TaskSequence
from storage.runs import put_runs


class Sequences:
    """The sequences of a lab."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, sequence: TaskSequence, runs: list[Run]) -> TaskSequence:
        """Stores a sequence and queues its runs; the one that has its fingerprint already wins."""
        with self._database.write() as session:
            serialize(session, "runs")
            known = session.scalar(_same(sequence.fingerprint))
            if known is not None:
                return known
            session.add(sequence)
            session.flush()
            put_runs(session, runs)
            return sequence

    def of_fingerprint(self, fingerprint: str) -> TaskSequence | None:
        with self._database.read() as session:
            return session.scalar(_same(fingerprint))

    def all(self, limit: int | None = None) -> list[TaskSequence]:
        """The sequences, newest first."""
        statement = select(TaskSequence).order_by(TaskSequence.created_at.desc()).limit(limit)
        with self._database.read() as session:
            return list(session.scalars(statement))

    def find(self, text: str) -> list[TaskSequence]:
        """The sequences whose id is ``text`` or begins so, oldest first."""
        like = select(TaskSequence).where(TaskSequence.id.startswith(text, autoescape=True))
        with self._database.read() as session:
            return list(session.scalars(like.order_by(TaskSequence.created_at))) if text else []


def _same(fingerprint: str) -> Select[TaskSequence]:
    return select(TaskSequence).where(TaskSequence.fingerprint == fingerprint)
