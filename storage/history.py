"""A run's history: one line an event."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from storage.models import Event, Run


def add_event(
    session: Session,
    run: Run,
    kind: str,
    message: str,
    level: str = "info",
    data: dict[str, Any] | None = None,
) -> None:
    """A line in the run's history."""
    session.add(
        Event(
            run_id=run.id, attempt=run.attempt, kind=kind, message=message, level=level, data=data
        )
    )
