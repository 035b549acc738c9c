"""What files there are: artifacts and checkpoints, by path relative to SDLAB_HOME."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from storage.columns import by_run, upsert
from storage.database import Database
from storage.models import Artifact, Checkpoint, now


class Artifacts:
    """The files of a lab."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, kind: str, path: str, sha256: str, size_bytes: int, run_id: str | None = None
    ) -> Artifact:
        """Registers a file or folder that is on disk."""
        artifact = Artifact(kind=kind, path=path, sha256=sha256, bytes=size_bytes, run_id=run_id)
        with self._database.write() as session:
            session.add(artifact)
        return artifact

    def get(self, artifact_id: str) -> Artifact | None:
        with self._database.read() as session:
            return session.get(Artifact, artifact_id)

    def of_run(self, run_id: str) -> list[Artifact]:
        """A run's artifacts, oldest first."""
        return self.of_runs([run_id])[run_id]

    def of_runs(self, run_ids: Sequence[str]) -> dict[str, list[Artifact]]:
        """The artifacts of these runs, oldest first, in one query."""
        statement = select(Artifact).where(Artifact.run_id.in_(run_ids))
        with self._database.read() as session:
            found = session.scalars(statement.order_by(Artifact.created_at, Artifact.id))
            return by_run(run_ids, found)

    def checkpoints(self, run_id: str) -> list[Checkpoint]:
        """A run's checkpoints that are on disk, by step."""
        return self.checkpoints_of_runs([run_id])[run_id]

    def checkpoints_of_runs(self, run_ids: Sequence[str]) -> dict[str, list[Checkpoint]]:
        """The checkpoints on disk of these runs, by step, in one query."""
        statement = select(Checkpoint).where(Checkpoint.run_id.in_(run_ids), Checkpoint.kept)
        with self._database.read() as session:
            return by_run(run_ids, session.scalars(statement.order_by(Checkpoint.step)))

    def checkpoint(self, run_id: str, step: int | None = None) -> Checkpoint | None:
        """A run's checkpoint of ``step``; the newest one without a step."""
        statement = select(Checkpoint).where(Checkpoint.run_id == run_id, Checkpoint.kept)
        if step is not None:
            statement = statement.where(Checkpoint.step == step)
        with self._database.read() as session:
            return session.scalar(statement.order_by(Checkpoint.step.desc()).limit(1))


def put_artifact(session: Session, artifact: Artifact) -> None:
    """Registers a run's file in place of the one that had its path before."""
    same = (Artifact.run_id == artifact.run_id, Artifact.path == artifact.path)
    session.execute(delete(Artifact).where(*same))
    session.add(artifact)


def let_checkpoints_go(session: Session, run_id: str, steps: Collection[int]) -> None:
    """Notes that these checkpoints are no longer on disk."""
    session.execute(
        update(Checkpoint)
        .where(Checkpoint.run_id == run_id, Checkpoint.step.in_(steps))
        .values(kept=False)
    )


def put_checkpoint(
    session: Session, run_id: str, step: int, path: str, sha256: str, size_bytes: int
) -> None:
    """Registers a checkpoint; one of the same step is overwritten."""
    row = {
        "run_id": run_id,
        "step": step,
        "path": path,
        "sha256": sha256,
        "bytes": size_bytes,
        "created_at": now(),
        "kept": True,
    }
    session.execute(upsert(session, Checkpoint, ("run_id", "step")), row)
