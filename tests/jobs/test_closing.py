"""What is left of a run includes the scores after its last step."""

from dataclasses import replace

import pytest

from backend.jobs.recorder import StoredRecorder
from backend.training.recorder import Evaluation, Item
from storage.claims import Claim, Claims
from storage.database import Database
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


def test_a_resumed_run_knows_it_from_its_scores(database, add_run, attempt, clock):
    add_run()
    run, recorder = attempt()
    recorder.progress(0, 10, None, "evaluating")
    clock.now_s += 30
    recorder.evaluation(0, evaluation())
    Claims(database).end(Claim(run.id, "me", 1), "killed", {})
    _, recorder = attempt()
    recorder.progress(6, 10, 8.0, "training")
    recorder.flush()
    assert eta(database, run.id) == 38.0


def test_an_attempt_that_measures_anew_forgets_what_the_one_before_took(
    database, add_run, attempt, clock
):
    add_run()
    run, recorder = attempt()
    recorder.progress(0, 10, None, "evaluating")
    clock.now_s += 30
    recorder.evaluation(0, evaluation())
    Claims(database).end(Claim(run.id, "me", 1), "killed", {})
    _, recorder = attempt()
    recorder.progress(0, 10, None, "evaluating")
    clock.now_s += 4
    recorder.evaluation(0, evaluation())
    recorder.progress(1, 10, 8.0, "training")
    recorder.flush()
    assert eta(database, run.id) == 12.0


def test_a_known_score_takes_what_it_took_itself_when_it_was_measured(
    database, add_run, attempt, clock
):
    """Not what the other run's whole evaluation took: that had probes that this run has not."""
    add_run()
    _, recorder = attempt()
    recorder.progress(0, 10, None, "evaluating")
    for name, took_s in (("x", 20), ("y", 500)):
        clock.now_s += took_s
        recorder.evaluation(0, replace(evaluation(name), probe=f"task:{name}"))
    for place in range(2):  # the second takes over what the first took over
        add_run()
        run, recorder = attempt()
        recorder.progress(0, 10, None, "evaluating")
        recorder.evaluation(0, recorder.known_evaluation("x"))
        assert recorder.known_evaluation("y") is not None, "looked at, not taken"
        clock.now_s += 3
        recorder.evaluation(0, replace(evaluation(f"z{place}"), probe="task:z"))
        recorder.progress(1, 10, 1.0, "training")
        recorder.flush()
        assert eta(database, run.id) == 24.0
