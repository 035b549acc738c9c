"""Scores of probes, with the items behind them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from storage.columns import by_run
from storage.database import Database
from storage.models import Evaluation, EvaluationItem, new_id


class Evaluations:
    """The evaluations of all runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_run(self, run_id: str, *, subset: bool | None = None) -> list[Evaluation]:
        """A run's evaluations by step, probe and metric; whole ones and subsets by default."""
        statement = select(Evaluation).where(Evaluation.run_id == run_id)
        if subset is not None:
            statement = statement.where(Evaluation.subset == subset)
        statement = statement.order_by(Evaluation.step, Evaluation.probe, Evaluation.metric)
        with self._database.read() as session:
            return list(session.scalars(statement))

    def of_runs(
        self, run_ids: Sequence[str], *, subset: bool | None = None
    ) -> dict[str, list[Evaluation]]:
        """The evaluations of these runs, each by step, probe and metric, in one query."""
        statement = select(Evaluation).where(Evaluation.run_id.in_(run_ids))
        if subset is not None:
            statement = statement.where(Evaluation.subset == subset)
        statement = statement.order_by(Evaluation.step, Evaluation.probe, Evaluation.metric)
        with self._database.read() as session:
            return by_run(run_ids, session.scalars(statement))

    def scored_runs(self) -> set[str]:
        """The ids of the runs that have scores."""
        with self._database.read() as session:
            return set(session.scalars(select(Evaluation.run_id).distinct()))

    def get(self, evaluation_id: str) -> Evaluation | None:
        with self._database.read() as session:
            return session.get(Evaluation, evaluation_id)

    def items(self, evaluation_id: str) -> list[EvaluationItem]:
        """The items of an evaluation, in order."""
        with self._database.read() as session:
            return _items(session, evaluation_id)

    def known(self, fingerprint: str) -> tuple[Evaluation, list[EvaluationItem]] | None:
        """The whole evaluation that was first made with this fingerprint, and its items."""
        statement = select(Evaluation).where(
            Evaluation.fingerprint == fingerprint, Evaluation.subset.is_(False)
        )
        statement = statement.order_by(Evaluation.created_at).limit(1)
        with self._database.read() as session:
            evaluation = session.scalar(statement) if fingerprint else None
            return None if evaluation is None else (evaluation, _items(session, evaluation.id))


def put_evaluation(
    session: Session, evaluation: Evaluation, items: Sequence[EvaluationItem]
) -> None:
    """Stores a score and its items in place of the run's one with the same probe and step."""
    session.execute(
        delete(Evaluation).where(
            Evaluation.run_id == evaluation.run_id,
            Evaluation.probe == evaluation.probe,
            Evaluation.metric == evaluation.metric,
            Evaluation.step == evaluation.step,
            Evaluation.subset == evaluation.subset,
        )
    )
    evaluation.id = new_id()
    session.add(evaluation)
    session.flush()
    for position, item in enumerate(items):
        item.evaluation_id, item.position = evaluation.id, position
    session.add_all(items)


def forget_evaluations_after(session: Session, run_id: str, step: int) -> None:
    """Deletes a run's evaluations of steps after ``step``, with their items."""
    session.execute(delete(Evaluation).where(Evaluation.run_id == run_id, Evaluation.step > step))


def _items(session: Session, evaluation_id: str) -> list[EvaluationItem]:
    statement = select(EvaluationItem).where(EvaluationItem.evaluation_id == evaluation_id)
    return list(session.scalars(statement.order_by(EvaluationItem.position)))
