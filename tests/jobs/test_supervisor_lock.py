"""A lab has one supervisor: a living one is respected, a dead one is replaced."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from backend.errors import StateError
from backend.jobs.identity import is_alive, process_of, send, this_process
from backend.jobs.supervisor import Supervisor
from storage.database import open_database
from storage.models import SupervisorLock, now
from storage.supervisors import Supervisors

ROOT = Path(__file__).parents[2]
HOLD = """
import os, sys
from pathlib import Path
from backend.config import Settings
from backend.jobs.supervisor import Supervisor
from storage.database import open_database
settings = Settings(home=Path(sys.argv[1]))
supervisor = Supervisor(open_database(settings.database), settings, None)
supervisor.acquire("http://dead:1")
os._exit(0)
"""


def _another(database, settings, launcher):
    return Supervisor(database, settings, launcher)


def test_a_second_supervisor_is_refused_with_the_first_ones_address(
    database, settings, launcher, supervisor
):
    with pytest.raises(StateError) as refused:
        _another(database, settings, launcher).acquire("http://127.0.0.1:1")
    assert str(os.getpid()) in str(refused.value)
    assert "http://127.0.0.1:7860" in str(refused.value)


def test_a_closed_supervisor_makes_room(database, settings, launcher, supervisor):
    supervisor.close()
    with _another(database, settings, launcher) as second:
        second.acquire("http://127.0.0.1:1")
        assert Supervisors(database).holder().address == "http://127.0.0.1:1"
    assert Supervisors(database).holder() is None


def test_a_supervisor_whose_goodbye_was_not_stored_makes_room(database, settings, launcher):
    impatient = open_database(settings.database, busy_timeout_ms=50)
    first = _another(impatient, settings, launcher)
    first.acquire("")
    with closing(sqlite3.connect(settings.home / "lab.sqlite")) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError):
            first.close()
    impatient.close()

    with _another(database, settings, launcher) as second:
        second.acquire("")
        second.tick()


def test_a_dead_supervisor_is_replaced(database, settings, launcher):
    subprocess.run(
        [sys.executable, "-c", HOLD, str(settings.home)],
        env={"PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert Supervisors(database).holder().address == "http://dead:1"

    with _another(database, settings, launcher) as second:
        second.acquire("")
        second.tick()
        assert Supervisors(database).holder().pid == os.getpid()


@pytest.mark.parametrize(("silent_s", "is_refused"), [(1, True), (3600, False)])
def test_a_supervisor_elsewhere_is_judged_by_its_last_beat(
    database, settings, launcher, silent_s, is_refused
):
    with database.write() as session:
        session.add(
            SupervisorLock(
                name="lab",
                owner="other",
                pid=1,
                pid_created=1.0,
                boot_id="b",
                host="another machine",
                address="http://there:1",
                beat_at=now() - timedelta(seconds=silent_s),
            )
        )
    with _another(database, settings, launcher) as second:
        if is_refused:
            with pytest.raises(StateError, match="another machine"):
                second.acquire("")
        else:
            second.acquire("")
            second.tick()


def test_a_process_is_known_by_more_than_its_number():
    me = this_process()
    assert is_alive(me)
    assert process_of(os.getpid()) == me
    assert not is_alive(replace(me, pid_created=me.pid_created - 1))
    assert not is_alive(replace(me, boot_id="an earlier boot"))
    assert not is_alive(replace(me, host="elsewhere"))


def test_a_zombie_is_not_alive():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = process_of(child.pid)
    assert is_alive(process)
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(process)
    assert not send(process, 9)
    child.wait()


def test_this_process_is_never_signalled():
    assert not send(this_process(), 9)
