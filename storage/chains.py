"""Runs that wait for another one: claimed once it is done, cancelled if it ends otherwise."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session, aliased

from storage.history import add_event
from storage.models import Run, now

# The code of the error that a run has which was cancelled because of the one before it.
EARLIER_RUN: Final = "earlier_run"


def is_ready() -> ColumnElement[bool]:
    """Whether a run waits for no other one, as a condition of a statement on runs."""
    earlier = aliased(Run)
    done = select(earlier.id).where(earlier.id == Run.after_run_id, earlier.state == "done")
    return Run.after_run_id.is_(None) | done.exists()


def cancel_followers(session: Session, run: Run) -> None:
    """Cancels the queued runs that wait for ``run``, and those that wait for them."""
    waiting = select(Run).where(Run.after_run_id == run.id, Run.state == "queued")
    for follower in session.scalars(waiting.with_for_update()).all():
        message = f"{run.name} ({run.id[:8]}), which this run goes on from, is {run.state}"
        follower.state, follower.ended_at = "cancelled", now()
        follower.error = {
            "code": EARLIER_RUN,
            "message": message,
            "where": f"run {follower.id}",
            "remedy": f"resume that one, and this one follows: sdlab resume {run.id[:8]}",
        }
        add_event(session, follower, "cancelled", f"cancelled: {message}", "warning")
        cancel_followers(session, follower)


def revive_followers(session: Session, run: Run) -> None:
    """Queues again what was cancelled because of ``run``, which is queued again itself."""
    waiting = select(Run).where(Run.after_run_id == run.id, Run.state == "cancelled")
    for follower in session.scalars(waiting.with_for_update()).all():
        if (follower.error or {}).get("code") == EARLIER_RUN:
            follower.state, follower.error, follower.ended_at = "queued", None, None
            add_event(session, follower, "resumed", f"queued again after {run.name}")
            revive_followers(session, follower)
