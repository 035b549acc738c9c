"""Runs that wait for another one: claimed after it, cancelled with it, and revived with it."""

import pytest
from sqlalchemy import select
from sqlalchemy.dialects import postgresql

from storage.chains import EARLIER_RUN, is_ready
from storage.claims import Claim
from storage.models import Run
from storage.runs import Runs

LOST = {"code": "lost", "message": "gone", "where": "", "remedy": ""}


@pytest.fixture
def chain(enqueue):
    """Three runs, each waiting for the one before, and one that waits for none."""
    first = enqueue("first")
    second = enqueue("second", after_run_id=first.id)
    third = enqueue("third", after_run_id=second.id)
    return first.id, second.id, third.id, enqueue("alone").id


@pytest.fixture
def state(database):
    return lambda *ids: [Runs(database).get(run_id).state for run_id in ids]


def _claim(claims, run_id):
    run = claims.claim("s")
    assert run.id == run_id
    return Claim(run.id, "s", run.attempt)


def test_a_run_is_claimed_only_once_the_one_before_is_done(claims, chain):
    claims.ensure_slots(["cpu:0", "cpu:1", "cpu:2"])
    first, second, third, alone = chain
    claim = _claim(claims, first)
    _claim(claims, alone)
    assert claims.claim("s") is None, "the second waits, though there is a slot"
    claims.finish(claim, "done")
    claim = _claim(claims, second)
    assert claims.claim("s") is None
    claims.finish(claim, "done")
    _claim(claims, third)


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_a_run_that_ends_otherwise_cancels_all_after_it(claims, chain, database, state, end):
    first, second, third, alone = chain
    claims.finish(_claim(claims, first), end, LOST if end == "failed" else None)
    assert state(second, third, alone) == ["cancelled", "cancelled", "queued"]
    run = Runs(database).get(third)
    assert run.error["code"] == EARLIER_RUN
    assert "second" in run.error["message"]
    assert run.ended_at is not None
    assert f"first ({first[:8]})" in Runs(database).events(second)[-1].message
    _claim(claims, alone)


def test_a_lost_run_cancels_them_and_one_that_is_tried_again_does_not(
    claims, database, enqueue, state
):
    first = enqueue("first", max_attempts=2)
    second = enqueue("second", after_run_id=first.id)
    assert claims.end(_claim(claims, first.id), "killed", LOST) == "queued"
    assert state(second.id) == ["queued"]
    assert claims.end(_claim(claims, first.id), "killed", LOST) == "lost"
    assert state(second.id) == ["cancelled"]


def test_resuming_revives_what_was_cancelled_with_it(claims, chain, database, state):
    first, second, third, _ = chain
    runs = Runs(database)
    runs.request_stop(first)
    assert state(first, second, third) == ["cancelled"] * 3
    runs.requeue(first, 3)
    assert state(first, second, third) == ["queued"] * 3
    assert runs.get(third).error is None
    claims.finish(_claim(claims, first), "done")
    claims.finish(_claim(claims, second), "done")
    _claim(claims, third)


def test_what_was_stopped_by_wish_is_not_revived(chain, database, state):
    first, second, third, _ = chain
    runs = Runs(database)
    runs.request_stop(second)
    assert state(first, second, third) == ["queued", "cancelled", "cancelled"]
    runs.request_stop(first)
    runs.requeue(first, 3)
    assert state(first, second, third) == ["queued", "cancelled", "cancelled"]
    runs.requeue(second, 3)
    assert state(first, second, third) == ["queued"] * 3


def test_on_postgres_only_the_claimed_row_is_locked():
    """The run before is looked at in a subquery, which FOR UPDATE does not reach."""
    statement = select(Run.id).where(is_ready()).with_for_update(skip_locked=True)
    text = " ".join(str(statement.compile(dialect=postgresql.dialect())).split())
    assert "FROM runs WHERE runs.after_run_id IS NULL OR (EXISTS (SELECT" in text
    assert text.endswith("FOR UPDATE SKIP LOCKED")
