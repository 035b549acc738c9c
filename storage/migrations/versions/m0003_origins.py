"""How the rows of a task's version came to be."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("task_versions", sa.Column("origin", sa.JSON(), nullable=True))
