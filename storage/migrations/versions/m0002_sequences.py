"""Tasks learned one after the other, and runs that wait for another one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "sequences",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("fingerprint"),
    )
    waits_for = sa.ForeignKey("runs.id", ondelete="SET NULL", name="fk_runs_after_run_id")
    with op.batch_alter_table("runs") as runs:
        runs.add_column(sa.Column("after_run_id", sa.String(), waits_for, nullable=True))
        runs.create_index("ix_runs_after_run_id", ["after_run_id"], unique=False)
