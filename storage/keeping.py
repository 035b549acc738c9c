"""What the rows of a run weigh, and how a run is taken out of the lab for good."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from storage.artifacts import let_checkpoints_go
from storage.database import Database
from storage.models import ACTIVE, Artifact, Checkpoint, Run, Slot, SupervisorLock, Trace


class Keeping:
    """Sizes and removal, over the whole lab."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def trace_bytes(self) -> Mapping[str, int]:
        """The bytes of each run's traces; runs without any are absent."""
        statement = select(Trace.run_id, func.sum(Trace.bytes)).group_by(Trace.run_id)
        with self._database.read() as session:
            return {run_id: int(size) for run_id, size in session.execute(statement)}

    def paths(self) -> set[str]:
        """What checkpoints and artifacts refer to, relative to SDLAB_HOME."""
        kept = select(Checkpoint.path).where(Checkpoint.kept)
        with self._database.read() as session:
            return {*session.scalars(kept), *session.scalars(select(Artifact.path))}

    def remove(self, run_id: str) -> bool:
        """Deletes a run that is not active, with all its rows; False if it is, or is gone.

        What waits for it must have been dealt with.
        """
        with self._database.write() as session:
            run = session.get(Run, run_id, with_for_update=True)
            if run is None or run.state in (*ACTIVE, "queued"):
                return False
            session.execute(delete(Artifact).where(Artifact.run_id == run_id))
            session.delete(run)
            return True

    def pack_away(self, archive: Artifact, steps: Sequence[int]) -> bool:
        """Puts an archive in the place of its run's checkpoints of ``steps`` and of its traces.

        False, with nothing changed, where the run is at work or about to be.
        """
        with self._database.write() as session:
            run = session.get(Run, archive.run_id, with_for_update=True)
            if run is None or run.state in (*ACTIVE, "queued"):
                return False
            let_checkpoints_go(session, run.id, steps)
            session.execute(delete(Trace).where(Trace.run_id == run.id))
            session.add(archive)
            return True

    def put_back(
        self, archive: Artifact, paths: Sequence[str], traces: Iterable[dict[str, Any]]
    ) -> None:
        """Undoes pack_away, once the checkpoints are at their ``paths`` again."""
        its = Checkpoint.run_id == archive.run_id
        with self._database.write() as session:
            kept = update(Checkpoint).where(its, Checkpoint.path.in_(paths)).values(kept=True)
            session.execute(kept)
            for row in traces:
                session.execute(insert(Trace), row)
            session.execute(delete(Artifact).where(Artifact.id == archive.id))

    def let_rest(self) -> None:
        """Makes a copy of a lab at work one in which nobody works: its processes are not ours.

        What was active is queued again, or cancelled where that was wanted.
        """
        gone = {"owner": None, "slot_id": None, "pid": None, "pid_created": None, "boot_id": None}
        active = update(Run).where(Run.state.in_(ACTIVE))
        with self._database.write() as session:
            session.execute(active.where(Run.stop_requested).values(state="cancelled", **gone))
            session.execute(active.values(state="queued", **gone))
            session.execute(update(Slot).values(run_id=None))
            session.execute(delete(SupervisorLock))

    def forget_checkpoint(self, path: str) -> None:
        """Notes that a checkpoint is not on disk."""
        with self._database.write() as session:
            session.execute(update(Checkpoint).where(Checkpoint.path == path).values(kept=False))
