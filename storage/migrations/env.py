"""Runs the migrations on the connection that storage.database passes in."""

from __future__ import annotations

from alembic import context

from storage.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    # The caller holds the one transaction, and the lock with it.
    transactional_ddl=False,
)
context.run_migrations()
