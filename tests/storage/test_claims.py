"""The queue's transitions: claimed once, held by one attempt, let go with the slot."""

import subprocess
import sys
from pathlib import Path

from storage.claims import Claim, Process, hold
from storage.models import Run
from storage.runs import Runs
from tests.wholeness import assert_lab_whole

ROOT = Path(__file__).parents[2]
HERE = Process(pid=1, pid_created=2.0, boot_id="b", host="h")
LOST = {"code": "lost", "message": "gone", "where": "", "remedy": ""}


def _claim(run):
    return Claim(run.id, run.owner, run.attempt)


def test_runs_are_claimed_by_priority_and_then_in_order(claims, enqueue):
    claims.ensure_slots(["cpu:0", "cpu:1", "cpu:2"])
    first, second, urgent = enqueue("first"), enqueue("second"), enqueue("urgent", priority=1)

    claimed = [claims.claim("s").id for _ in range(3)]

    assert claimed == [urgent.id, first.id, second.id]
    assert claims.claim("s") is None


def test_a_claim_takes_run_and_slot_together(claims, enqueue):
    enqueue()
    waiting = enqueue()
    run = claims.claim("s")

    assert (run.state, run.owner, run.attempt, run.slot_id) == ("starting", "s", 1, "cpu:0")
    assert [slot.run_id for slot in claims.slots()] == [run.id]
    assert claims.claim("s") is None, "there is one slot"
    assert claims.finish(_claim(run), "done")
    assert claims.claim("s").id == waiting.id


def test_slots_of_other_kinds_are_left_alone(claims, enqueue):
    enqueue()
    assert claims.claim("s", kinds=["gpu"]) is None
    claims.ensure_slots(["gpu:0"])
    assert [slot.id for slot in claims.slots()] == ["gpu:0"]
    assert claims.claim("s", kinds=["gpu"]).slot_id == "gpu:0"


def test_a_slot_in_use_is_not_removed(claims, enqueue):
    enqueue()
    claims.claim("s")
    claims.ensure_slots(["gpu:0"])
    assert [slot.id for slot in claims.slots()] == ["cpu:0", "gpu:0"]


def test_only_the_newest_attempt_may_write(claims, enqueue, database):
    enqueue()
    old = _claim(claims.claim("s"))
    assert claims.start(old, HERE).state == "running"
    assert claims.end(old, "killed", LOST) == "queued"
    new = _claim(claims.claim("s"))

    assert new.attempt == 2
    for too_late in (
        claims.start(old, HERE),
        claims.beat(old),
        claims.launched(old, HERE, "log"),
        claims.cancel(old),
        claims.finish(old, "done"),
        claims.end(old, "killed", LOST),
    ):
        assert not too_late
    with database.write() as session:
        assert not hold(session, old)
        assert hold(session, new)
    run = Runs(database).get(new.run_id)
    assert (run.state, run.attempt, run.pid) == ("starting", 2, None)


def test_nothing_is_written_after_the_end(claims, enqueue):
    enqueue()
    claim = _claim(claims.claim("s"))
    assert claims.finish(claim, "done")
    assert not claims.beat(claim)
    assert not claims.finish(claim, "failed")


def test_attempts_are_limited(claims, enqueue, database):
    run_id = enqueue(max_attempts=2).id
    assert claims.end(_claim(claims.claim("s")), "killed", LOST) == "queued"
    assert claims.end(_claim(claims.claim("s")), "killed", LOST) == "lost"

    run = Runs(database).get(run_id)
    assert run.error == LOST
    assert run.ended_at is not None
    assert [slot.run_id for slot in claims.slots()] == [None]
    kinds = [event.kind for event in Runs(database).events(run_id)]
    assert kinds == ["queued", "claimed", "requeued", "claimed", "lost"]


def test_a_worker_that_dies_after_the_wish_to_stop_is_cancelled(claims, enqueue, database):
    enqueue()
    claim = _claim(claims.claim("s"))
    assert Runs(database).request_stop(claim.run_id) == "starting"
    assert claims.cancel(claim)
    assert claims.start(claim, HERE).state == "cancelling"
    assert claims.end(claim, "killed", LOST) == "cancelled"
    assert Runs(database).get(claim.run_id).error is None


def test_eight_processes_claim_five_hundred_runs_once_each(claims, database, tmp_path):
    claims.ensure_slots([f"cpu:{number}" for number in range(3)])
    runs = [Run(name=f"run {number}", kind="train", config={}) for number in range(500)]
    ids = {run.id for run in Runs(database).enqueue(*runs)}
    script = Path(__file__).parent / "claimer.py"
    claimers = [
        subprocess.Popen(
            [sys.executable, str(script), database.url, f"owner {number}"],
            env={"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(8)
    ]
    outputs = [claimer.communicate(timeout=240)[0] for claimer in claimers]

    assert [claimer.returncode for claimer in claimers] == [0] * 8
    lines = [line.split() for output in outputs for line in output.splitlines()]
    assert sorted(run_id for run_id, _ in lines) == sorted(ids)
    assert {attempt for _, attempt in lines} == {"1"}
    assert {run.id for run in Runs(database).all(states=["done"])} == ids
    assert_lab_whole(database, tmp_path)
