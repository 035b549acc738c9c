"""What is left of a run includes the scores after its last step."""

import pytest

from backend.jobs.recorder import StoredRecorder
from backend.training.recorder import Evaluation, Item
from storage.claims import Claim, Claims
from storage.database import Database
from storage.models import Event
from storage.runs import Runs


@pytest.fixture
def attempt(database, settings, clock, add_run):
    """A function that begins an attempt at a new run, or the next one at a run."""

    def begin():
        Claims(database).ensure_slots([f"cpu:{n}" for n in range(4)])
        run = Claims(database).claim("me")
        recorder = StoredRecorder(
            database, run.id, "me", run.attempt, settings, run.config, clock=clock
        )
        return run, recorder

    return begin


def evaluation(fingerprint=""):
    items = (Item("a", "p", "e", "e", 1.0),)
    return Evaluation("task:x", "exact", 1.0, 1, 0.2, 1.0, items, fingerprint)


def eta(database: Database, run_id: str) -> float:
    return Runs(database).get(run_id).eta_s


def test_the_closing_scores_take_as_long_as_the_first_ones(database, add_run, attempt, clock):
    add_run()
    run, recorder = attempt()
    recorder.progress(0, 10, None, "evaluating")
    clock.now_s += 7
    recorder.event("premise", "go")
    clock.now_s += 20
    recorder.evaluation(0, evaluation())
    clock.now_s += 5
    recorder.evaluation(0, evaluation())
    clock.now_s += 100
    recorder.progress(1, 10, 90.0, "training")
    recorder.flush()
    assert eta(database, run.id) == 115.0, "without the premise, and without the step"
    recorder.evaluation(5, evaluation())
    clock.now_s += 100
    recorder.progress(10, 10, 0.0, "training")
    recorder.flush()
    assert eta(database, run.id) == 25.0


def test_a_resumed_run_knows_it_from_its_history(database, add_run, attempt, clock):
    add_run()
    run, recorder = attempt()
    recorder.progress(0, 10, None, "evaluating")
    recorder.evaluation(0, evaluation())
    with database.write() as session:
        begun = session.query(Event).filter_by(run_id=run.id, kind="phase").one()
        from_history = begun.at.replace(year=begun.at.year - 1)
        took_s = (begun.at - from_history).total_seconds()
        begun.at = from_history
    Claims(database).end(Claim(run.id, "me", 1), "killed", {})
    _, recorder = attempt()
    recorder.progress(6, 10, 8.0, "training")
    recorder.flush()
    assert eta(database, run.id) == pytest.approx(8.0 + took_s, abs=60)


def test_scores_that_were_known_take_what_they_took_once(database, add_run, attempt, clock):
    add_run()
    first, recorder = attempt()
    recorder.progress(0, 10, None, "evaluating")
    recorder.evaluation(0, evaluation("base"))
    with database.write() as session:
        begun = session.query(Event).filter_by(run_id=first.id, kind="phase").one()
        begun.at = begun.at.replace(year=begun.at.year - 1)
    add_run()
    second, recorder = attempt()
    recorder.progress(0, 10, None, "evaluating")
    recorder.evaluation(0, recorder.known_evaluation("base"))
    recorder.progress(1, 10, 1.0, "training")
    recorder.flush()
    assert eta(database, second.id) > 300 * 24 * 3600
