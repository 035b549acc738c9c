"""The queue's verbs say in words why they refuse."""

from functools import partial

import pytest

from backend.errors import NotFound, StateError
from backend.jobs import queue
from backend.jobs.launchers import launch_inline
from backend.jobs.supervisor import Supervisor
from storage.claims import Claim, Claims
from storage.models import Run
from storage.runs import Runs


@pytest.fixture
def claim(database, add_run):
    add_run()
    Claims(database).ensure_slots(["cpu:0"])
    run = Claims(database).claim("me")
    return Claim(run.id, "me", 1)


def test_runs_are_queued_with_the_labs_number_of_attempts(database, settings):
    first, second = queue.enqueue(
        database, settings, *(Run(name=name, kind="train", config={}) for name in "ab")
    )
    assert (first.seq, second.seq) == (1, 2)
    assert Runs(database).get(first.id).max_attempts == settings.max_attempts == 2


def test_an_unknown_run_is_not_found(database, settings):
    with pytest.raises(NotFound, match="run nobody: there is no such run; list them with"):
        queue.stop(database, "nobody")
    with pytest.raises(NotFound):
        queue.resume(database, settings, "nobody")


def test_an_active_run_is_asked_to_stop_and_not_resumed(database, settings, claim):
    with pytest.raises(StateError, match=r"the run is starting: only .* can be resumed"):
        queue.resume(database, settings, claim.run_id)
    run = queue.stop(database, claim.run_id)
    assert (run.state, run.stop_requested) == ("starting", True)
    assert queue.stop(database, claim.run_id).stop_requested, "twice is once"


def test_a_finished_run_is_neither_stopped_nor_resumed(database, settings, claim):
    Claims(database).finish(claim, "done")
    with pytest.raises(StateError, match="it is done"):
        queue.stop(database, claim.run_id)
    with pytest.raises(StateError, match="nothing left to resume"):
        queue.resume(database, settings, claim.run_id)


def test_a_failed_run_is_resumed_without_its_error(database, settings, claim):
    Claims(database).finish(claim, "failed", {"message": "no"})
    run = queue.resume(database, settings, claim.run_id)
    assert (run.state, run.error, run.attempt, run.max_attempts) == ("queued", None, 1, 3)


def test_the_inline_launcher_works_through_the_queue_in_one_tick(
    database, settings, add_run, clock
):
    ids = [add_run(steps=2).id, add_run("break").id, add_run(steps=1).id]
    with Supervisor(database, settings, partial(launch_inline, work="sample_work"), clock) as lab:
        lab.acquire("")
        lab.tick()
        lab.tick()
    assert [Runs(database).get(run_id).state for run_id in ids] == ["done", "failed", "done"]


def test_a_run_is_not_resumed_before_the_one_that_it_goes_on_from(database, settings, add_run):
    first = add_run(name="first")
    second, third = (
        queue.enqueue(
            database, settings, Run(name=name, kind="train", config={}, after_run_id=before)
        )[0]
        for name, before in (("second", first.id), ("third", first.id))
    )
    queue.stop(database, first.id)
    with pytest.raises(StateError, match=rf"goes on from first .* cancelled; .*{first.id[:8]}"):
        queue.resume(database, settings, second.id)
    queue.resume(database, settings, first.id)
    assert [Runs(database).get(run.id).state for run in (second, third)] == ["queued", "queued"]
