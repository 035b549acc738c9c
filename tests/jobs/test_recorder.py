"""What a job tells is stored in order, in batches, and only while the run is its own."""

import threading

import numpy as np
import pytest

from backend.errors import Replaced
from backend.jobs.recorder import BATCH, BATCH_S, POLL_S, TRACES_FULL, StoredRecorder
from backend.training.recorder import Evaluation, Item, Recorder, TokenTrace, Trace
from storage.artifacts import Artifacts
from storage.claims import Claim, Claims
from storage.evaluations import Evaluations
from storage.metrics import Metrics
from storage.runs import Runs
from storage.traces import Traces


@pytest.fixture
def claimed(database, add_run):
    """A function that claims one more run."""

    def claim(**config):
        add_run(**config)
        Claims(database).ensure_slots([f"cpu:{n}" for n in range(4)])
        return Claims(database).claim("me")

    return claim


@pytest.fixture
def recorder_of(database, settings, clock):
    def make(run, **options) -> Recorder:
        return StoredRecorder(
            database,
            run.id,
            run.owner,
            run.attempt,
            settings,
            run.config,
            clock=clock,
            **options,
        )

    return make


def _tokens(count, teacher=True):
    row = np.linspace(0, 1, count, dtype=np.float32)
    top = np.zeros((count, 5), np.float32)
    ids = np.arange(count, dtype=np.int32)
    sides = {"teacher_logprobs_T": -row} if teacher else {}
    return TokenTrace(ids, row, row, -row, row, top.astype(np.int32), top, **sides)


def _trace(step=1, kind="watched", tokens=4, completion="an answer", **values):
    return Trace(
        step, kind, "d1", "student", "prompt", None, completion, "shown", _tokens(tokens), **values
    )


def _evaluation(fingerprint="f", score=0.5, **values):
    items = (Item("a", "p", "e", "e", 1.0), Item("b", "p", "e", "x", np.float32(0.0), "differs"))
    return Evaluation("task", "exact", score, 2, 0.1, 0.9, items, fingerprint, {"k": 1}, **values)


def test_metrics_wait_for_a_full_batch(database, claimed, recorder_of):
    run = claimed()
    recorder = recorder_of(run)
    recorder.metrics(1, {f"key {n}": float(n) for n in range(BATCH - 1)})
    assert Metrics(database).latest(run.id) == {}

    recorder.metrics(2, {"last": 1.0})

    assert len(Metrics(database).latest(run.id)) == BATCH


def test_metrics_wait_no_longer_than_the_interval(database, claimed, recorder_of, clock):
    run = claimed()
    recorder = recorder_of(run)
    recorder.metrics(1, {"loss": 1.0})
    clock.now_s += BATCH_S
    recorder.metrics(2, {"loss": 0.5})

    assert Metrics(database).series(run.id, "loss") == [(1, 1.0), (2, 0.5)]


@pytest.mark.parametrize(
    "tell",
    [
        lambda recorder, folder: recorder.flush(),
        lambda recorder, folder: recorder.event("note", "something"),
        lambda recorder, folder: recorder.trace(_trace()),
        lambda recorder, folder: recorder.evaluation(1, _evaluation()),
        lambda recorder, folder: recorder.result({"a": 1}),
        lambda recorder, folder: recorder.checkpoint(1, folder, "s", 1),
    ],
)
def test_every_other_write_stores_what_waits(database, claimed, recorder_of, settings, tell):
    run = claimed()
    recorder = recorder_of(run)
    recorder.metrics(1, {"loss": 1.0})
    recorder.progress(1, 10, 30.0, "")

    tell(recorder, settings.home / "runs" / run.id / "000001")

    assert Metrics(database).latest(run.id) == {"loss": 1.0}
    stored = Runs(database).get(run.id)
    assert (stored.step, stored.total_steps, stored.eta_s) == (1, 10, 30.0)


def test_a_new_phase_is_told_at_once(database, claimed, recorder_of):
    run = claimed()
    recorder = recorder_of(run)
    recorder.progress(0, 10, None, "loading the model")
    assert Runs(database).get(run.id).phase == "loading the model"
    recorder.progress(1, 10, None, "training")
    recorder.progress(2, 10, None, "training")
    assert (Runs(database).get(run.id).phase, Runs(database).get(run.id).step) == ("training", 1)


def test_the_old_attempt_is_told_that_it_was_replaced(
    database, claimed, recorder_of, settings, clock
):
    run = claimed()
    old = recorder_of(run)
    old.metrics(1, {"loss": 1.0})
    Claims(database).end(Claim(run.id, "me", 1), "killed", {})
    new = recorder_of(Claims(database).claim("me"))
    new.metrics(1, {"loss": 7.0})
    new.flush()
    clock.now_s += POLL_S

    for write in (
        old.flush,
        lambda: old.event("note", "late"),
        lambda: old.trace(_trace()),
        lambda: old.evaluation(1, _evaluation()),
        lambda: old.result({"late": True}),
        lambda: old.rewind(0),
        lambda: old.checkpoint(1, settings.home / "late", "s", 1),
        old.stop_requested,
    ):
        with pytest.raises(Replaced):
            write()
    assert Metrics(database).latest(run.id) == {"loss": 7.0}
    assert Runs(database).get(run.id).result is None
    assert Traces(database).of_run(run.id) == []
    assert "late" not in [event.message for event in Runs(database).events(run.id)]


def test_a_trace_comes_back_token_by_token(database, claimed, recorder_of):
    run = claimed()
    recorder = recorder_of(run)
    recorder.trace(_trace(step=10))
    recorder.trace(_trace(step=10, completion="zwei", teacher_answer="ja"))
    recorder.trace(_trace(step=20, kind="sampled"))

    traces = Traces(database)
    first, second = traces.of_run(run.id, step=10)
    assert traces.steps(run.id) == [10, 20]
    assert (first.position, second.position) == (0, 1)
    assert (second.completion, second.teacher_answer) == ("zwei", "ja")
    assert first.mean_divergence == pytest.approx(0.5)
    arrays = traces.tokens(first.id)
    np.testing.assert_array_equal(arrays["token_ids_T"], [0, 1, 2, 3])
    assert "teacher_logprobs_T" in arrays
    assert "teacher_entropy_T" not in arrays


def test_an_attempt_that_repeats_a_step_replaces_its_traces(database, claimed, recorder_of):
    run = claimed()
    recorder_of(run).trace(_trace(step=0, completion="first"))
    again = recorder_of(run)
    again.rewind(0)
    again.trace(_trace(step=0, completion="second"))

    assert [trace.completion for trace in Traces(database).of_run(run.id)] == ["second"]


def test_traces_stop_at_the_cap_and_say_so_once(database, claimed, recorder_of):
    run = claimed(traces={"max_mib": 0.01})
    recorder = recorder_of(run)
    for step in range(1, 30):
        recorder.trace(_trace(step=step, completion=str(step) * 1000))
    recorder_of(run).trace(_trace(step=30, completion="x" * 5000))

    kept = Traces(database).of_run(run.id)
    assert 0 < sum(trace.bytes for trace in kept) <= 0.01 * 2**20
    told = [event for event in Runs(database).events(run.id) if event.kind == TRACES_FULL]
    assert len(told) == 1
    assert "raise traces.max_mib" in told[0].message


def test_a_trace_made_again_does_not_count_twice(database, claimed, recorder_of):
    run = claimed(traces={"max_mib": 0.01})
    for completion in ("a" * 6000, "b" * 6000):
        recorder_of(run).trace(_trace(completion=completion))

    [kept] = Traces(database).of_run(run.id)
    assert kept.completion[0] == "b"


def test_an_evaluation_is_known_to_other_runs_by_its_fingerprint(database, claimed, recorder_of):
    run = claimed()
    recorder_of(run).evaluation(0, _evaluation("base on task"))
    recorder_of(run).evaluation(0, _evaluation("a part"), subset=True)
    other = recorder_of(claimed())

    assert other.known_evaluation("base on task") == _evaluation("base on task")
    assert other.known_evaluation("a part") is None
    assert other.known_evaluation("") is None


def test_rewinding_forgets_what_came_after(database, claimed, recorder_of, settings):
    run = claimed()
    recorder = recorder_of(run)
    for step in (20, 40):
        recorder.metrics(step, {"loss": 1 / step})
        recorder.trace(_trace(step=step))
        recorder.evaluation(step, _evaluation())
        recorder.checkpoint(step, settings.home / "runs" / run.id / str(step), "s", 1)
        recorder.progress(step, 60, 1.0, "training")
    recorder.metrics(41, {"loss": 0.0})
    recorder.rewind(20)

    assert Metrics(database).series(run.id, "loss") == [(20, 1 / 20)]
    assert Metrics(database).latest(run.id) == {"loss": 1 / 20}
    assert Traces(database).steps(run.id) == [20]
    [left] = Evaluations(database).of_run(run.id)
    assert left.step == 20
    assert len(Evaluations(database).items(left.id)) == 2
    assert [point.step for point in Artifacts(database).checkpoints(run.id)] == [20]
    assert Runs(database).get(run.id).step == 20


def test_a_checkpoint_is_kept_by_its_path_in_the_lab(database, claimed, recorder_of, settings):
    run = claimed()
    recorder_of(run).checkpoint(20, settings.home / "runs" / run.id / "20", "sum", 5)

    [point] = Artifacts(database).checkpoints(run.id)
    assert (point.path, point.sha256, point.bytes) == (f"runs/{run.id}/20", "sum", 5)


def test_results_are_merged(database, claimed, recorder_of):
    run = claimed()
    recorder = recorder_of(run)
    recorder.result({"premise": {"verdict": "go"}, "adapter": "a"})
    recorder.result({"adapter": "b"})

    assert Runs(database).get(run.id).result == {"premise": {"verdict": "go"}, "adapter": "b"}


def test_the_wish_to_stop_is_read_from_the_row_now_and_then(database, claimed, recorder_of, clock):
    run = claimed()
    recorder = recorder_of(run)
    assert not recorder.stop_requested()
    Runs(database).request_stop(run.id)
    assert not recorder.stop_requested(), "the row is read once a second at most"
    clock.now_s += POLL_S
    assert recorder.stop_requested()


def test_a_signal_is_heard_at_once(claimed, recorder_of):
    stop = threading.Event()
    recorder = recorder_of(claimed(), stop=stop)
    assert not recorder.stop_requested()
    stop.set()
    assert recorder.stop_requested()
