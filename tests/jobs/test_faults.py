"""What happens to machines, with real processes: no run is lost, no metric lost or doubled."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest
from sample_work import set_wall_clock
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from backend.jobs import queue
from backend.jobs.identity import process_of
from backend.jobs.launchers import worker_environment
from backend.jobs.supervisor import Supervisor
from backend.settings import Settings
from storage import models
from storage.database import may_hold_up, open_database
from storage.models import Run
from storage.runs import Runs

STEPS = 8


@pytest.fixture
def settings(tmp_path, request):
    """The seconds that a transaction waits for the database's lock are a parameter."""
    url = f"sqlite:///{tmp_path / 'lab.sqlite'}?timeout={getattr(request, 'param', 30)}"
    return Settings(
        home=tmp_path, database_url=url, beat_s=0.05, lease_s=30, grace_s=30, max_attempts=3
    )


@pytest.fixture
def has_reached(database):
    """Whether a run's history has an event of this kind, of its newest attempt."""

    def reached(kind):
        def is_there(run):
            events = Runs(database).events(run.id)
            return any(each.kind == kind and each.attempt == run.attempt for each in events)

        return is_there

    return reached


@pytest.fixture
def supervising(settings, monkeypatch, launcher):
    """Starts tests/jobs/supervising.py; what is left of it is killed."""
    started = []

    def start(dies="never"):
        program = Path(__file__).with_name("supervising.py")
        environment = worker_environment(settings, os.environ)
        process = subprocess.Popen([sys.executable, str(program), dies], env=environment)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def heir(database, settings, launcher, clock):
    """A supervisor that takes over from a dead one."""
    with Supervisor(database, settings, launcher, clock) as heir:

        def take_over():
            heir.acquire("")
            return heir

        yield take_over


@pytest.fixture
def until(database):
    """Waits for a test of a run's row, ticking meanwhile if there is something to tick."""

    def wait(run_id, is_so, tick=lambda: None):
        deadline = time.monotonic() + 60
        while not is_so(run := Runs(database).get(run_id)):
            assert time.monotonic() < deadline, f"{run.state}, step {run.step}, {run.error}"
            tick()
            time.sleep(0.02)
        return run

    return wait


def is_done(run):
    return run.state in ("done", "failed", "lost", "cancelled")


def test_a_worker_killed_while_it_saves_leaves_no_half_checkpoint(add_run, wait_for, assert_whole):
    run = wait_for(add_run(steps=STEPS, die_at_rename=6).id, "done", "failed", "lost")

    assert run.result == {"counted": STEPS, "from": 4}
    assert_whole(run, 2, "its worker was killed by SIGKILL", "queued again (1 of 3")


def test_a_supervisor_killed_between_claim_and_launch_loses_no_run(
    add_run, supervising, heir, until, clock, settings, assert_whole
):
    run = add_run(steps=STEPS)
    assert supervising("claimed").wait(timeout=60) == -signal.SIGKILL
    heir = heir()
    until(run.id, lambda found: found.state == "starting", heir.tick)
    for _ in range(5):
        clock.now_s += settings.lease_s / 3
        heir.tick()
    until(run.id, is_done, heir.tick)

    assert_whole(run, 2, "its worker was silent for 30 s; queued again")


def test_a_worker_whose_supervisor_died_at_once_is_found_by_the_next_one(
    add_run, supervising, heir, until, assert_whole
):
    run = add_run(steps=STEPS)
    assert supervising("launched").wait(timeout=60) == -signal.SIGKILL
    until(run.id, is_done, heir().tick)

    # Who ended before the next one looked was not seen to go on: nothing is told of that.
    assert_whole(run, 1)


@pytest.mark.parametrize("with_worker", [False, True])
def test_a_killed_supervisor_is_replaced_and_its_worker_adopted(
    with_worker, database, add_run, supervising, heir, until, assert_whole
):
    run = add_run(steps=STEPS, lags_s=0.15)
    server = supervising()
    before = until(run.id, lambda found: found.step >= 3)
    server.kill()
    if with_worker:
        os.killpg(before.pid, signal.SIGKILL)
    server.wait()
    tick = heir().tick
    after = until(run.id, lambda found: found.step > before.step or is_done(found), tick)
    assert (after.pid == before.pid) is not with_worker
    until(run.id, is_done, tick)

    if with_worker:
        assert_whole(run, 2, "its worker ended without a word; queued again")
    else:
        assert_whole(run, 1, f"its worker (process {before.pid}) goes on under a new supervisor")


def test_a_worker_that_wakes_after_its_lease_may_not_write(
    database, add_run, supervisor, until, clock, settings, assert_whole, has_reached
):
    """It counts as one on another machine, as this one would be killed."""
    run = add_run(steps=STEPS, lags_s=0.3)
    old = until(run.id, lambda found: found.step >= 1, supervisor.tick)
    os.killpg(old.pid, signal.SIGSTOP)
    try:
        with database.write() as session:
            session.execute(update(Run).values(host="another machine"))
        for _ in range(5):
            clock.now_s += settings.lease_s / 3
            supervisor.tick()
        new = until(run.id, lambda found: found.attempt == 2 and found.step >= 1, supervisor.tick)
    finally:
        os.killpg(old.pid, signal.SIGCONT)
    until(run.id, is_done, supervisor.tick)

    assert new.pid != old.pid
    log = (settings.home / new.log_path).read_text()
    assert "went to another attempt: exit" in log or "no longer holds run" in log
    assert_whole(run, 2, "its worker was silent for 30 s; queued again")


def test_memory_that_runs_out_is_told_with_what_helps(
    database, settings, add_run, wait_for, assert_whole
):
    run = wait_for(add_run(steps=STEPS, hungry_at=5).id, "done", "failed", "lost")

    assert (run.state, run.error["code"]) == ("failed", "out_of_memory")
    assert run.error["message"] == "not enough memory"
    assert "micro_batch_size" in run.error["remedy"]
    assert_whole(run, 1, "not enough memory", state="failed")
    queue.resume(database, settings, run.id)
    assert wait_for(run.id, "done", "failed", "lost").result == {"counted": STEPS, "from": 4}
    assert_whole(run, 2)


@pytest.mark.parametrize("settings", [0.2], indirect=True)
def test_a_database_locked_for_longer_than_the_lease_costs_no_attempt(
    database, add_run, supervisor, until, clock, settings, assert_whole
):
    run = add_run(steps=STEPS, lags_s=0.1)
    until(run.id, lambda found: found.step >= 2, supervisor.tick)
    with closing(sqlite3.connect(settings.home / "lab.sqlite")) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert may_hold_up(database, os.getpid())
        for _ in range(8):
            with pytest.raises(OperationalError, match="locked"):
                supervisor.tick()
            clock.now_s += settings.lease_s / 3
    until(run.id, is_done, supervisor.tick)

    assert_whole(run, 1, "waiting for it")


def test_a_database_without_room_is_waited_for(add_run, wait_for, assert_whole):
    run = wait_for(add_run(steps=STEPS, full_at=3).id, "done", "failed", "lost")

    assert_whole(run, 1, "database or disk is full", "waiting for it")


@pytest.mark.parametrize("by_s", [3600, -3600])
def test_a_clock_that_is_set_ends_no_run(
    by_s, add_run, wait_for, assert_whole, monkeypatch, supervisor
):
    run = add_run(steps=STEPS, clock_jump_s=by_s, lags_s=0.05)
    wait_for(run.id, until=lambda found: found.step >= 2)
    monkeypatch.setattr(models, "datetime", models.datetime)
    set_wall_clock(by_s)
    wait_for(run.id, "done", "failed", "lost")

    assert_whole(run, 1)


def test_another_process_with_the_workers_number_is_left_alone(
    database, add_run, wait_for, supervisor, heir, until, has_reached, assert_whole
):
    run = wait_for(add_run(steps=STEPS, hang_at=3).id, until=has_reached("hanging"))
    supervisor.close()
    os.killpg(run.pid, signal.SIGKILL)
    psutil.Process(run.pid).wait(timeout=30)
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as bystander:
        reused = process_of(bystander.pid)
        with database.write() as session:
            values = asdict(reused) | {"pid_created": reused.pid_created - 5}
            session.execute(update(Run).values(**values, config={"steps": STEPS}))
        until(run.id, is_done, heir().tick)
        assert bystander.poll() is None
        bystander.kill()

    assert_whole(run, 2, "its worker ended without a word; queued again")


def test_nothing_that_a_worker_started_outlives_it(
    add_run, wait_for, has_reached, supervisor, assert_whole
):
    config = {"steps": STEPS, "hang_at": 3, "parent": True}
    run = wait_for(add_run(**config).id, until=has_reached("hanging"))
    [child] = psutil.Process(run.pid).children()
    os.kill(run.pid, signal.SIGKILL)
    wait_for(run.id, until=lambda found: found.attempt == 2)
    deadline = time.monotonic() + 30
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        supervisor.tick()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    wait_for(run.id, until=has_reached("hanging"))
    queue.stop(supervisor._database, run.id)
    wait_for(run.id, "cancelled")

    assert_whole(run, 2, "its worker was killed by SIGKILL", state="cancelled")


def test_a_supervisor_that_failed_as_it_began_keeps_nobody_out(
    settings, database, launcher, clock, add_run, until, assert_whole
):
    run = add_run(steps=STEPS)
    database.close()
    broken = open_database(settings.database)
    first = Supervisor(broken, settings, launcher, clock)
    first._claims.ensure_slots = lambda ids: (_ for _ in ()).throw(
        OperationalError("INSERT", {}, sqlite3.OperationalError("database is locked"))
    )
    with pytest.raises(OperationalError):
        first.acquire("")
    broken.close()

    with Supervisor(database, settings, launcher, clock) as second:
        second.acquire("")
        until(run.id, is_done, second.tick)

    assert_whole(run, 1)
