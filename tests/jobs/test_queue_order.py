"""What waits is moved, ranked and held back."""

from functools import partial

import pytest

from backend.errors import NotFound, StateError
from backend.jobs import queue
from backend.jobs.launchers import launch_inline
from backend.jobs.queue_order import QueueOrder
from backend.jobs.supervisor import Supervisor
from storage.runs import Runs


@pytest.fixture
def order(database, settings):
    return QueueOrder(database, settings)


@pytest.fixture
def abc(add_run):
    return [add_run(steps=1, name=name) for name in "abc"]


def _names(document):
    return "".join(run["name"] for run in document["queued"])


def test_runs_are_moved_before_others_and_to_the_end(order, abc):
    assert _names(order.document()) == "abc"
    assert _names(order.move("c", "a")) == "cab"
    assert _names(order.move("c")) == "abc"
    assert _names(order.move_first("b")) == "bac"
    assert _names(order.move_first("b")) == "bac"
    assert _names(order.move("a", "a")) == "bac"


def test_a_moved_run_takes_the_priority_of_its_place(order, abc):
    assert _names(order.set_priority("c", 2)) == "cab"
    assert _names(order.move("b", "c")) == "bca"
    assert [run["priority"] for run in order.document()["queued"]] == [2, 2, 0]
    assert _names(order.move("b")) == "cab"
    assert [run["priority"] for run in order.document()["queued"]] == [2, 0, 0]


def test_only_what_is_queued_is_moved(order, abc, database):
    queue.stop(database, abc[0].id)
    for refused in (lambda: order.move("a"), lambda: order.move("b", "a")):
        with pytest.raises(StateError, match="the run is cancelled: only a queued one"):
            refused()
    with pytest.raises(StateError):
        order.set_priority("a", 1)
    with pytest.raises(NotFound):
        order.move_first("nobody")


def test_a_paused_queue_starts_nothing_until_it_goes_on(order, abc, database, settings, clock):
    assert order.pause()["paused"]
    with Supervisor(database, settings, partial(launch_inline, work="sample_work"), clock) as lab:
        lab.acquire("")
        lab.tick()
        assert _names(order.document()) == "abc"
        assert not order.resume()["paused"]
        lab.tick()
    assert {run.state for run in Runs(database).all()} == {"done"}
