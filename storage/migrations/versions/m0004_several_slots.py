"""A run may hold several slots, one a device."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    # The constraint to be dropped has no name in SQLite, so the table is made anew, with its rows:
    # workers may be at work in them.
    connection = op.get_bind()
    rows = connection.execute(sa.text("SELECT id, kind, run_id FROM slots")).mappings().all()
    op.drop_table("slots")
    slots = op.create_table(
        "slots",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_slots_run_id", "slots", ["run_id"], unique=False)
    op.bulk_insert(slots, [dict(row) for row in rows])
