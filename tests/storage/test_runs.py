"""Runs made, found, stopped and queued again."""

from storage.claims import Claim
from storage.models import Run
from storage.runs import Runs


def test_runs_enqueued_together_keep_their_order(database):
    runs = Runs(database)
    made = runs.enqueue(*(Run(name=f"r{n}", kind="train", config={"n": n}) for n in range(3)))

    assert [run.seq for run in made] == [1, 2, 3]
    assert [run.name for run in runs.all()] == ["r2", "r1", "r0"]
    assert [run.name for run in runs.all(limit=1)] == ["r2"]
    assert runs.get(made[1].id).config == {"n": 1}


def test_runs_are_found_by_id_its_beginning_or_name(database, enqueue):
    run, twin = enqueue("twins"), enqueue("twins")
    runs = Runs(database)

    assert [found.id for found in runs.find(run.id)] == [run.id]
    assert [found.id for found in runs.find(run.id[:11])] == [run.id]
    assert [found.id for found in runs.find("twins")] == [run.id, twin.id]
    assert runs.find("") == []
    assert runs.find("%") == []


def test_runs_are_listed_by_state_and_group(database, enqueue):
    enqueue(group_id="pair")
    enqueue()
    runs = Runs(database)

    assert len(runs.all(group_id="pair")) == 1
    assert len(runs.all(states=["queued"])) == 2
    assert runs.all(states=["done"]) == []


def test_a_queued_run_is_cancelled_at_once_and_can_come_back(database, enqueue, claims):
    run_id = enqueue().id
    runs = Runs(database)

    assert runs.request_stop(run_id) == "queued"
    assert runs.get(run_id).state == "cancelled"
    assert claims.claim("s") is None
    assert runs.requeue(run_id, 3) == "cancelled"
    assert runs.get(run_id).state == "queued"
    assert claims.claim("s").id == run_id


def test_requeuing_counts_attempts_on(database, enqueue, claims):
    run_id = enqueue(max_attempts=1).id
    run = claims.claim("s")
    claims.finish(Claim(run.id, "s", run.attempt), "failed", {"message": "no"})
    runs = Runs(database)

    assert runs.requeue(run_id, 3) == "failed"
    again = runs.get(run_id)
    assert (again.attempt, again.max_attempts, again.error) == (1, 4, None)
    assert claims.claim("s").attempt == 2


def test_other_states_are_told_and_left(database, enqueue, claims):
    run = enqueue()
    runs = Runs(database)
    assert runs.requeue(run.id, 3) == "queued"
    claimed = claims.claim("s")
    assert runs.requeue(run.id, 3) == "starting"
    claims.finish(Claim(run.id, "s", claimed.attempt), "done")
    assert runs.request_stop(run.id) == "done"
    assert runs.requeue(run.id, 3) == "done"
    assert runs.get(run.id).state == "done"
    assert runs.request_stop("nobody") is None
    assert runs.requeue("nobody", 3) is None


def test_events_are_read_from_where_one_left_off(database, enqueue):
    run = enqueue()
    runs = Runs(database)
    runs.request_stop(run.id)
    first, second = runs.events(run.id)

    assert (first.kind, second.kind) == ("queued", "cancelled")
    assert [event.id for event in runs.events(run.id, after=first.id)] == [second.id]
