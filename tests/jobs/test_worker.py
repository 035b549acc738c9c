"""The worker's main, in this process: how each way to end is stored."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from backend.jobs import worker
from backend.jobs.launchers import arguments, launch_inline
from backend.jobs.work.context import run_folder
from storage.claims import Claim, Claims
from storage.metrics import Metrics
from storage.runs import Runs

ROOT = Path(__file__).parents[2]


@pytest.fixture
def work(database, settings, add_run):
    """A function that claims a new run and works on it here; the run after it."""

    def do(kind="count", *, before=lambda run: None, **config):
        add_run(kind, **config)
        claims = Claims(database)
        claims.ensure_slots(["cpu:0"])
        run = claims.claim("me")
        before(run)
        launch_inline(run, settings, work="sample_work")
        assert [slot.run_id for slot in claims.slots()] == [None], "the slot is free again"
        return Runs(database).get(run.id)

    return do


def test_work_that_returns_is_done(work, database):
    run = work(steps=3)
    assert (run.state, run.error, run.step) == ("done", None, 3)
    assert run.ended_at is not None
    kinds = [event.kind for event in Runs(database).events(run.id)]
    assert kinds == ["queued", "claimed", "started", "phase", "done"]


def test_a_users_mistake_is_stored_in_its_own_words(work):
    run = work("break", user=True)
    assert run.state == "failed"
    assert run.error["code"] == "bad_data"
    assert run.error["message"] == "row 3 is empty"
    assert run.error["where"] == "task x"
    assert run.error["remedy"] == "remove it"
    assert "DataError" in run.error["traceback"]


def test_any_other_error_is_a_fault_with_its_traceback(work, database):
    run = work("break")
    assert run.state == "failed"
    assert run.error["code"] == "fault"
    assert run.error["message"] == "ZeroDivisionError: one by none"
    assert run.id in run.error["where"]
    assert "break_down" in run.error["traceback"]
    assert Metrics(database).keys(run.id) == ["loss"], "what was told before is stored"


def test_a_kind_without_work_is_a_fault(work):
    run = work("dance")
    assert run.state == "failed"
    assert 'kind "dance", only count, break, tell_device' in run.error["message"]


def test_stopped_work_is_cancelled(work, database):
    run = work(before=lambda run: Runs(database).request_stop(run.id), steps=5)
    assert (run.state, run.error) == ("cancelled", None)
    assert run.step == 1


def test_left_overs_of_a_killed_writer_are_removed(work, settings):
    def leave(run):
        partial = run_folder(settings, run.id) / "checkpoints" / ".000002.ab.partial"
        partial.mkdir(parents=True)
        (partial / "state.json").write_text("{")

    run = work(before=leave, steps=1)
    assert run.state == "done"
    assert list(run_folder(settings, run.id).rglob("*.partial")) == []


def test_a_replaced_attempt_touches_nothing(database, settings, add_run):
    add_run(steps=2)
    claims = Claims(database)
    claims.ensure_slots(["cpu:0"])
    old = claims.claim("me")
    claims.end(Claim(old.id, "me", 1), "killed", {})
    new = claims.claim("me")
    events = len(Runs(database).events(old.id))

    code = worker.main(arguments(old, settings, "sample_work"), inline=True, settings=settings)

    assert old.attempt == 1
    assert code == worker.EXIT_REPLACED
    assert Runs(database).get(new.id).state == "starting"
    assert len(Runs(database).events(new.id)) == events


def test_an_unknown_schema_is_refused(database, settings, add_run, caplog):
    add_run(steps=2)
    Claims(database).ensure_slots(["cpu:0"])
    run = Claims(database).claim("me")
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    code = worker.main(arguments(run, settings, "sample_work"), inline=True, settings=settings)

    assert code == worker.EXIT_SCHEMA
    assert "newer than this worker knows" in caplog.text
    assert Runs(database).get(run.id).state == "starting"


def test_jobs_are_imported_without_torch_and_gradio():
    code = (
        "import sys; "
        "import backend.jobs.worker, backend.jobs.supervisor, backend.jobs.queue; "
        "import backend.jobs.launchers, backend.jobs.recorder, storage.traces; "
        "print([name for name in ('torch', 'gradio', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
