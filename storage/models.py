"""The tables of the lab."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, deferred, mapped_column

from storage.columns import UtcDateTime

ACTIVE: Final = ("starting", "running", "cancelling")
FINAL: Final = ("cancelled", "failed", "done", "lost")
Blob = bytes


def new_id() -> str:
    """A fresh id: 12 hexadecimal digits, short enough to type."""
    return secrets.token_hex(6)


def now() -> datetime:
    """The time, with its zone (UTC)."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """Base of the tables; says how Python types are stored."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime,
        dict[str, Any]: JSON(none_as_null=True),
    }


class Task(Base):
    __tablename__ = "tasks"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(default=now)


class TaskVersion(Base):
    __tablename__ = "task_versions"
    __table_args__ = (
        UniqueConstraint("task_id", "number"),
        UniqueConstraint("task_id", "content_hash"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"))
    number: Mapped[int]
    content_hash: Mapped[str]
    scorer: Mapped[str]
    mapping: Mapped[dict[str, Any]]
    report: Mapped[dict[str, Any]]
    split: Mapped[dict[str, Any]]
    # How its rows came to be: from which file and by which choices, or edited from which version.
    origin: Mapped[dict[str, Any] | None]
    upload_artifact_id: Mapped[str | None] = mapped_column(ForeignKey("artifacts.id"))
    training: Mapped[int]
    held_out: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(default=now)


class TaskRow(Base):
    """One demonstration of a version; ``part`` is training or held_out."""

    __tablename__ = "task_rows"

    version_id: Mapped[str] = mapped_column(
        ForeignKey("task_versions.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True)
    part: Mapped[str]
    content: Mapped[dict[str, Any]]


class Artifact(Base):
    """A file or folder of the lab; ``path`` is relative to SDLAB_HOME.

    ``run_id`` is no foreign key: it would close a circle through runs and task_versions.
    """

    __tablename__ = "artifacts"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[str]
    path: Mapped[str]
    sha256: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    run_id: Mapped[str | None] = mapped_column(index=True)
    created_at: Mapped[datetime] = mapped_column(default=now)


class Run(Base):
    """A run and its place in the queue: the row is the queue entry.

    ``seq`` is the order of enqueuing; a higher ``priority`` goes first. A run with
    ``after_run_id`` waits until that one is done, see storage.chains. ``slot_id`` names the slots
    that it holds, with commas between.
    """

    __tablename__ = "runs"
    __table_args__ = (Index("ix_runs_queue", "state", "priority", "seq"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    seq: Mapped[int] = mapped_column(unique=True)
    name: Mapped[str]
    kind: Mapped[str]
    state: Mapped[str] = mapped_column(default="queued")
    config: Mapped[dict[str, Any]]
    method: Mapped[str] = mapped_column(default="")
    task_version_id: Mapped[str | None] = mapped_column(ForeignKey("task_versions.id"))
    model: Mapped[str] = mapped_column(default="")
    priority: Mapped[int] = mapped_column(default=0)
    group_id: Mapped[str | None] = mapped_column(index=True)
    after_run_id: Mapped[str | None] = mapped_column(
        ForeignKey("runs.id", ondelete="SET NULL"), index=True
    )
    slot_id: Mapped[str | None]
    owner: Mapped[str | None]
    attempt: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int] = mapped_column(default=3)
    beat_seq: Mapped[int] = mapped_column(default=0)
    beat_at: Mapped[datetime | None]
    pid: Mapped[int | None]
    pid_created: Mapped[float | None]
    boot_id: Mapped[str | None]
    host: Mapped[str | None]
    step: Mapped[int] = mapped_column(default=0)
    total_steps: Mapped[int] = mapped_column(default=0)
    eta_s: Mapped[float | None]
    phase: Mapped[str] = mapped_column(default="")
    stop_requested: Mapped[bool] = mapped_column(default=False)
    error: Mapped[dict[str, Any] | None]
    result: Mapped[dict[str, Any] | None]
    log_path: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class TaskSequence(Base):
    """Tasks learned one after the other; its runs have its id as their group."""

    __tablename__ = "sequences"

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    fingerprint: Mapped[str] = mapped_column(unique=True)
    document: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=now)


class Slot(Base):
    """A place where one run can work, such as ``cpu:0``; a run may hold several."""

    __tablename__ = "slots"

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    run_id: Mapped[str | None] = mapped_column(
        ForeignKey("runs.id", ondelete="SET NULL"), index=True
    )


class SupervisorLock(Base):
    """The one supervisor of the lab: the row named ``lab``."""

    __tablename__ = "supervisors"

    name: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    pid: Mapped[int]
    pid_created: Mapped[float]
    boot_id: Mapped[str]
    host: Mapped[str]
    address: Mapped[str]
    beat_seq: Mapped[int] = mapped_column(default=0)
    beat_at: Mapped[datetime] = mapped_column(default=now)


class Metric(Base):
    """One value of one curve; None stands for a value that is not a number."""

    __tablename__ = "metrics"
    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[float | None]


class LatestMetric(Base):
    """The newest value of each curve, for lists of runs."""

    __tablename__ = "latest_metrics"
    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[int]
    value: Mapped[float | None]


class Event(Base):
    """A line of a run's history."""

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    attempt: Mapped[int]
    at: Mapped[datetime] = mapped_column(default=now)
    level: Mapped[str] = mapped_column(default="info")
    kind: Mapped[str]
    message: Mapped[str]
    data: Mapped[dict[str, Any] | None]


class Evaluation(Base):
    __tablename__ = "evaluations"
    __table_args__ = (UniqueConstraint("run_id", "probe", "metric", "step", "subset"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    step: Mapped[int]
    probe: Mapped[str]
    metric: Mapped[str]
    score: Mapped[float]
    n: Mapped[int]
    low: Mapped[float]
    high: Mapped[float]
    subset: Mapped[bool]
    fingerprint: Mapped[str] = mapped_column(index=True)
    details: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=now)


class EvaluationItem(Base):
    __tablename__ = "evaluation_items"

    evaluation_id: Mapped[str] = mapped_column(
        ForeignKey("evaluations.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[str]
    prompt: Mapped[str]
    expected: Mapped[str]
    answer: Mapped[str]
    score: Mapped[float]
    reason: Mapped[str] = mapped_column(default="")


class Trace(Base):
    """One rollout as both roles read it; ``bytes`` counts its texts and its blob."""

    __tablename__ = "traces"
    __table_args__ = (UniqueConstraint("run_id", "step", "kind", "position"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    step: Mapped[int]
    kind: Mapped[str]
    position: Mapped[int]
    demonstration_id: Mapped[str]
    source: Mapped[str]
    student_prompt: Mapped[str]
    teacher_prompt: Mapped[str | None]
    completion: Mapped[str]
    demonstration: Mapped[str]
    teacher_answer: Mapped[str | None]
    base_answer: Mapped[str | None]
    tokens: Mapped[int]
    mean_divergence: Mapped[float | None]
    bytes: Mapped[int] = mapped_column(BigInteger)
    blob: Mapped[Blob] = deferred(mapped_column(LargeBinary))


class Checkpoint(Base):
    """A finished checkpoint; ``path`` is relative to SDLAB_HOME."""

    __tablename__ = "checkpoints"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str]
    sha256: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(default=now)
    kept: Mapped[bool] = mapped_column(default=True)
