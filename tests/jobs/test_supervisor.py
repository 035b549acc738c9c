"""The supervisor with real workers: launched, killed, silent, stopped, adopted."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress

import psutil
import pytest
from sqlalchemy.exc import OperationalError

from backend.errors import Replaced, StateError
from backend.jobs import queue
from backend.jobs.identity import is_alive
from backend.jobs.supervisor import Supervisor
from storage.artifacts import Artifacts
from storage.claims import Claim, Claims, Process
from storage.database import open_database
from storage.metrics import Metrics, put_metrics
from storage.runs import Runs
from storage.supervisors import Supervisors
from tests.wholeness import assert_lab_whole

COUNTED = [(step, float(step)) for step in range(1, 9)]


def _is_hanging(database):
    def hangs(run):
        events = Runs(database).events(run.id)
        return any(event.kind == "hanging" and event.attempt == run.attempt for event in events)

    return hangs


def _messages(database, run):
    return " | ".join(event.message for event in Runs(database).events(run.id))


def _is_locked(database):
    try:
        with closing(sqlite3.connect(database.file, timeout=0)) as connection:
            connection.execute("BEGIN IMMEDIATE")
        return False
    except sqlite3.OperationalError:
        return True


def _wait_until(claim):
    deadline = time.monotonic() + 60
    while not claim():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _freeze(database, run):
    """Stops the worker's process between two of its transactions."""
    while True:
        os.killpg(run.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, run.pid, os.WSTOPPED)
        if not _is_locked(database):
            return
        os.killpg(run.pid, signal.SIGCONT)


def test_a_queued_run_is_done_by_a_detached_worker(database, add_run, wait_for, settings):
    run = wait_for(add_run(steps=8).id, "done", "failed", "lost")

    assert run.state == "done", run.error
    assert run.result == {"counted": 8, "from": 0}
    assert Metrics(database).series(run.id, "step_again") == COUNTED
    assert [slot.run_id for slot in Claims(database).slots()] == [None]
    assert run.pid != os.getpid()
    assert "is done" in (settings.home / run.log_path).read_text()


def test_a_killed_worker_is_replaced_and_goes_on_from_its_checkpoint(
    add_run, wait_for, assert_whole
):
    run = wait_for(add_run(steps=8, die_at=5).id, "done", "failed", "lost")

    assert run.result == {"counted": 8, "from": 4}
    told = "killed by SIGKILL, as happens when memory runs out; queued again (1 of 2"
    assert_whole(run, 2, told)


def test_a_worker_that_always_dies_is_lost_in_words(database, settings, add_run, wait_for):
    run = wait_for(add_run(steps=2, always_die_at=1).id, "done", "failed", "lost")

    assert (run.state, run.attempt) == ("lost", 2)
    assert "tried 2 times" in run.error["message"]
    assert "exit code 9" in run.error["message"]
    assert "worker.log" in run.error["where"]
    assert f"sdlab resume {run.id}" in run.error["remedy"]
    assert_lab_whole(database, settings.home, "queued again", "tried 2 times")


def test_a_silent_worker_is_killed_and_replaced(
    database, add_run, wait_for, supervisor, clock, settings, assert_whole
):
    run = wait_for(add_run(steps=4, hang_at=3).id, until=_is_hanging(database))
    _freeze(database, run)
    for _ in range(4):
        supervisor.tick()
        assert Runs(database).get(run.id).state == "running"
        clock.now_s += settings.lease_s / 3
    wait_for(run.id, until=lambda found: found.attempt == 2)
    wait_for(run.id, until=_is_hanging(database))
    queue.stop(database, run.id)
    wait_for(run.id, "cancelled")
    assert_whole(run, 2, f"silent for {settings.lease_s:g} s; queued again", state="cancelled")


def test_a_supervisor_that_slept_does_not_call_workers_silent(
    database, add_run, wait_for, supervisor, clock, settings
):
    run = wait_for(add_run(steps=4, hang_at=3).id, until=_is_hanging(database))
    _freeze(database, run)
    clock.now_s += settings.lease_s * 10
    supervisor.tick()
    os.killpg(run.pid, signal.SIGCONT)
    queue.stop(database, run.id)

    assert wait_for(run.id, "cancelled", "lost").attempt == 1


def test_a_running_worker_is_stopped_with_its_checkpoint(database, add_run, wait_for):
    run = wait_for(add_run(steps=6, hang_at=5).id, until=_is_hanging(database))
    assert queue.stop(database, run.id).state == "running"
    run = wait_for(run.id, "cancelled", "failed", "lost")

    assert (run.state, run.attempt, run.error) == ("cancelled", 1, None)
    with pytest.raises(StateError, match="ended already"):
        queue.stop(database, run.id)


def test_a_resumed_run_goes_on_where_it_stopped(database, add_run, wait_for, settings):
    run = wait_for(add_run(steps=8, hang_at=5).id, until=_is_hanging(database))
    queue.stop(database, run.id)
    wait_for(run.id, "cancelled")
    queue.resume(database, settings, run.id)
    run = wait_for(run.id, until=lambda found: _is_hanging(database)(found) and found.attempt == 2)
    assert Metrics(database).series(run.id, "step_again")[:4] == COUNTED[:4]
    queue.stop(database, run.id)
    assert wait_for(run.id, "cancelled").max_attempts == 1 + settings.max_attempts


def test_a_deaf_worker_is_killed_after_the_grace(database, add_run, wait_for, clock, settings):
    run = wait_for(add_run(steps=4, hang_at=3, deaf=True).id, until=_is_hanging(database))
    queue.stop(database, run.id)
    wait_for(run.id, "cancelling")
    clock.now_s += settings.grace_s + 1
    run = wait_for(run.id, "cancelled")

    assert "did not stop within 30 s and was killed" in _messages(database, run)


def test_the_grace_is_longer_than_a_step(database, add_run, wait_for, clock, settings, supervisor):
    run = wait_for(add_run(steps=4, hang_at=3, deaf=True).id, until=_is_hanging(database))
    with database.write() as session:
        put_metrics(session, run.id, [("step_s", 3, 100.0)])
    queue.stop(database, run.id)
    wait_for(run.id, "cancelling")
    clock.now_s += settings.grace_s + 1
    supervisor.tick()
    clock.now_s += 300
    run = wait_for(run.id, "cancelled")

    assert "did not stop within 300 s and was killed" in _messages(database, run)


def test_the_wish_to_stop_comes_as_a_signal(database, add_run, wait_for):
    config = {"steps": 4, "hang_at": 3, "deaf": True, "mortal": True}
    run = wait_for(add_run(**config).id, until=_is_hanging(database))
    queue.stop(database, run.id)
    run = wait_for(run.id, "cancelled")

    assert "cancelled: its worker was killed by SIGTERM" in _messages(database, run)


def test_a_worker_that_froze_with_the_write_lock_is_killed(
    database, settings, launcher, clock, add_run
):
    impatient = open_database(settings.database, busy_timeout_ms=100)
    run = add_run(steps=4, hang_at=3, deaf=True, freezes_database=True)
    with Supervisor(impatient, settings, launcher, clock) as supervisor:
        supervisor.acquire("")
        supervisor.tick()
        _wait_until(lambda: _is_hanging(database)(Runs(database).get(run.id)))
        _wait_until(lambda: _is_locked(database))
        with pytest.raises(OperationalError, match="locked"):
            supervisor.tick()
        for _ in range(4):
            clock.now_s += settings.lease_s / 3
            with suppress(OperationalError):
                supervisor.tick()
        _wait_until(lambda: not _is_locked(database))
        queue.stop(database, run.id)
        supervisor.tick()
        assert "silent for 30 s" in _messages(database, run)
    impatient.close()


def test_a_worker_that_writes_once_the_database_is_free_again_is_left_alone(
    database, settings, clock, add_run
):
    """It was silent as long as another process had the lock; only one that keeps it is killed."""
    program = (
        "import sqlite3, sys\nlab = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "for line in sys.stdin: lab.execute(line); print(flush=True)"
    )
    command = [sys.executable, "-c", program, str(settings.home / "lab.sqlite")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    worker = subprocess.Popen(command, start_new_session=True, **pipes)

    def do(statement):
        worker.stdin.write(statement + "\n")
        worker.stdin.flush()
        worker.stdout.readline()

    impatient = open_database(settings.database, busy_timeout_ms=20)
    run = add_run(steps=1)
    with worker, Supervisor(impatient, settings, lambda *_: worker, clock) as supervisor:
        supervisor.acquire("")
        supervisor.tick()
        with closing(sqlite3.connect(settings.home / "lab.sqlite")) as other:
            other.execute("BEGIN IMMEDIATE")
            for _ in range(5):
                clock.now_s += settings.lease_s / 3
                with pytest.raises(OperationalError, match="locked"):
                    supervisor.tick()
        do("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError, match="locked"):
            supervisor.tick()
        do("COMMIT")
        supervisor.tick()
        assert worker.poll() is None
        assert Runs(database).get(run.id).attempt == 1

        do("BEGIN IMMEDIATE")
        for _ in range(5):
            clock.now_s += settings.lease_s / 3
            with suppress(OperationalError):
                supervisor.tick()
        assert worker.wait(timeout=30) == -signal.SIGKILL
    assert "silent for 30 s" in _messages(database, run)
    impatient.close()


def test_a_run_is_cancelled_before_its_worker_has_started(database, settings, add_run, clock):
    """Its worker takes long to start; nothing of it is left."""
    workers = []

    def slow(run, settings):
        workers.append(subprocess.Popen(["sleep", "600"], start_new_session=True))
        return workers[-1]

    run = add_run(steps=4)
    with Supervisor(database, settings, slow, clock) as supervisor:
        supervisor.acquire("")
        supervisor.tick()
        assert queue.stop(database, run.id).state == "starting"
        _wait_until(lambda: supervisor.tick() or Runs(database).get(run.id).state == "cancelled")
    assert workers[0].wait(timeout=30) == -signal.SIGTERM
    assert "cancelled: its worker was killed by SIGTERM" in _messages(database, run)
    assert [slot.run_id for slot in Claims(database).slots()] == [None]


def test_a_run_that_is_stopped_while_it_saves_keeps_what_it_saves(
    database, add_run, wait_for, settings
):
    run = add_run(steps=40, save_s=0.5)
    folder = settings.home / "runs" / run.id / "checkpoints"
    wait_for(run.id, until=lambda _: any(folder.glob(".*.partial")))
    queue.stop(database, run.id)
    run = wait_for(run.id, "cancelled", "failed", "lost")

    assert (run.state, run.attempt, run.error) == ("cancelled", 1, None)
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"{step:06d}" for step in range(2, run.step + 1, 2)]
    assert len(Artifacts(database).checkpoints(run.id)) == len(names) >= 1


def test_a_run_that_stands_still_is_told_once(
    database, add_run, wait_for, supervisor, clock, settings
):
    run = wait_for(add_run(steps=4, hang_at=3).id, until=_is_hanging(database))
    for _ in range(3 * int(settings.stall_s / settings.lease_s)):
        clock.now_s += settings.lease_s
        seq = Runs(database).get(run.id).beat_seq
        _wait_until(lambda: Runs(database).get(run.id).beat_seq > seq)  # noqa: B023
        supervisor.tick()
    told = [event for event in Runs(database).events(run.id) if event.kind == "stalled"]
    assert [event.level for event in told] == ["warning"]
    assert "no new step for 1 min: counting at step " in told[0].message
    assert f"sdlab stop {run.id[:8]}" in told[0].message
    queue.stop(database, run.id)
    wait_for(run.id, "cancelled")


def test_a_queued_run_is_cancelled_at_once(database, add_run, supervisor):
    run = add_run(steps=1)
    assert queue.stop(database, run.id).state == "cancelled"
    supervisor.tick()
    assert Runs(database).get(run.id).attempt == 0


def test_workers_outlive_their_supervisor_and_are_adopted(
    database, add_run, wait_for, supervisor, settings, launcher, clock
):
    run = wait_for(add_run(steps=4, hang_at=3).id, until=_is_hanging(database))
    supervisor.close()
    assert is_alive(Process(run.pid, run.pid_created, run.boot_id, run.host))
    assert os.getsid(run.pid) == run.pid, "a session of its own"

    with Supervisor(database, settings, launcher, clock) as heir:
        heir.acquire("")
        heir.tick()
        assert Runs(database).get(run.id).state == "running"
        queue.stop(database, run.id)
        heir.run_until(
            lambda: Runs(database).get(run.id).state not in ("running", "cancelling"), every_s=0.02
        )
    stopped = Runs(database).get(run.id)
    assert (stopped.state, stopped.attempt) == ("cancelled", 1)
    assert psutil.Process(run.pid).wait(timeout=30) in (0, None)


def test_a_worker_that_died_between_supervisors_is_replaced(
    database, add_run, wait_for, supervisor, settings, launcher, clock
):
    run = wait_for(add_run(steps=4, hang_at=3).id, until=_is_hanging(database))
    supervisor.close()
    os.killpg(run.pid, signal.SIGKILL)
    psutil.Process(run.pid).wait(timeout=30)

    with Supervisor(database, settings, lambda run, settings: None, clock) as heir:
        heir.acquire("")
        heir.tick()
    assert "ended without a word; queued again" in _messages(database, run)
    assert Runs(database).get(run.id).attempt == 2


def test_a_worker_that_cannot_be_started_uses_up_attempts(database, settings, add_run, clock):
    def broken(run, settings):
        raise OSError("no more processes")

    run = add_run(steps=1)
    with Supervisor(database, settings, broken, clock) as supervisor:
        supervisor.acquire("")
        supervisor.tick()
    lost = Runs(database).get(run.id)
    assert (lost.state, lost.attempt) == ("lost", 2)
    assert "could not be started: no more processes" in lost.error["message"]


def test_a_replaced_worker_exits_by_itself(database, add_run, wait_for, settings):
    run = wait_for(add_run(steps=4, hang_at=3, deaf=True).id, until=_is_hanging(database))
    old = psutil.Process(run.pid)
    assert Claims(database).end(Claim(run.id, run.owner, 1), "thought dead", {}) == "queued"
    old.wait(timeout=30)

    assert "went to another attempt: exit" in (settings.home / run.log_path).read_text()
    assert Runs(database).get(run.id).state == "queued"


def test_a_supervisor_that_lost_the_lock_stops(database, supervisor):
    locks = Supervisors(database)
    locks.release(locks.holder().owner)
    with pytest.raises(Replaced):
        supervisor.tick()
