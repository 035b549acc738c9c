"""Tasks, curves, traces, evaluations and files through their repositories."""

import math

import numpy as np
import pytest
from sqlalchemy.exc import IntegrityError

from storage.artifacts import Artifacts, put_checkpoint
from storage.evaluations import Evaluations, put_evaluation
from storage.metrics import Metrics, forget_metrics_after, put_metrics
from storage.models import Artifact, Evaluation, EvaluationItem, Task, TaskRow, TaskVersion
from storage.staging import drop_stale, stage
from storage.tasks import NewVersion, Tasks
from storage.traces import pack, unpack


def _version(content_hash="h1", upload=None):
    rows = (("training", {"id": "a"}), ("held_out", {"id": "b"}), ("training", {"id": "ü"}))
    return NewVersion(content_hash, "exact", {}, {"ok": True}, {"seed": 0}, rows, upload)


def test_a_task_version_comes_with_its_rows_and_upload(database):
    upload = Artifact(kind="upload", path="uploads/x.jsonl", sha256="s", bytes=3)

    version, added = Tasks(database).add_version("greetings", _version(upload=upload))

    tasks = Tasks(database)
    assert added
    assert (version.number, version.training, version.held_out) == (1, 2, 1)
    assert tasks.rows(version.id, "training") == [{"id": "a"}, {"id": "ü"}]
    assert tasks.rows(version.id) == [{"id": "a"}, {"id": "b"}, {"id": "ü"}]
    assert Artifacts(database).get(version.upload_artifact_id).path == "uploads/x.jsonl"
    assert tasks.of_version(version.id).name == "greetings"


def test_the_same_content_is_the_same_version(database):
    tasks = Tasks(database)
    first, _ = tasks.add_version("greetings", _version("h1"))
    second, _ = tasks.add_version("greetings", _version("h2"))
    again, added = tasks.add_version("greetings", _version("h1"))
    other, _ = tasks.add_version("farewells", _version("h1"))

    assert not added
    assert again.id == first.id
    assert (second.number, other.number) == (2, 1)
    task = tasks.by_name("greetings")
    assert [version.number for version in tasks.versions(task.id)] == [1, 2]
    assert tasks.version(task.id).number == 2
    assert tasks.version(task.id, 1).id == first.id
    assert tasks.version(task.id, 3) is None


def test_a_version_that_cannot_be_stored_leaves_no_task(database):
    broken = Artifact(kind="upload", path=None, sha256="s", bytes=3)
    with pytest.raises(IntegrityError):
        Tasks(database).add_version("greetings", _version(upload=broken))
    assert Tasks(database).all() == []


def test_curves_are_read_in_order_and_the_latest_value_wins(database, enqueue):
    run = enqueue()
    with database.write() as session:
        put_metrics(session, run.id, [("loss", 2, 0.5), ("loss", 1, 1.0), ("lr", 1, 1e-4)])
    with database.write() as session:
        put_metrics(session, run.id, [("loss", 1, 2.0), ("loss", 3, math.nan)])

    metrics = Metrics(database)
    assert metrics.series(run.id, "loss")[:2] == [(1, 2.0), (2, 0.5)]
    assert math.isnan(metrics.series(run.id, "loss", after=2)[0][1])
    assert math.isnan(metrics.latest(run.id)["loss"])
    assert metrics.latest(run.id)["lr"] == 1e-4
    assert metrics.keys(run.id) == ["loss", "lr"]


def test_a_late_value_of_an_early_step_is_not_the_latest(database, enqueue):
    run = enqueue()
    for step in (2, 1):
        with database.write() as session:
            put_metrics(session, run.id, [("loss", step, float(step))])
    assert Metrics(database).latest(run.id) == {"loss": 2.0}


def test_forgetting_steps_repairs_the_latest_values(database, enqueue):
    run, other = enqueue(), enqueue()
    points = [("loss", step, float(step)) for step in (1, 2, 3)] + [("late", 3, 9.0)]
    with database.write() as session:
        put_metrics(session, run.id, points)
        put_metrics(session, other.id, points)
    with database.write() as session:
        forget_metrics_after(session, run.id, 2)

    metrics = Metrics(database)
    assert metrics.latest(run.id) == {"loss": 2.0}
    assert metrics.series(run.id, "loss") == [(1, 1.0), (2, 2.0)]
    assert metrics.latest(other.id) == {"loss": 3.0, "late": 9.0}


def test_arrays_come_back_as_they_were():
    arrays = {
        "ids": np.arange(7, dtype=np.int32),
        "top": np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)[:, ::-1],
        "empty": np.zeros((0, 5), np.float32),
        "absent": None,
    }
    back = unpack(pack(arrays))

    assert back.keys() == {"ids", "top", "empty"}
    for name, array in back.items():
        assert array.dtype == arrays[name].dtype
        np.testing.assert_array_equal(array, arrays[name])


def _evaluation(run_id, **values):
    defaults = {"step": 0, "probe": "task", "metric": "exact", "score": 0.5, "n": 2, "low": 0.1}
    defaults |= {"high": 0.9, "subset": False, "fingerprint": "f", "details": {}}
    return Evaluation(run_id=run_id, **(defaults | values))


def _items(*scores):
    return [
        EvaluationItem(item_id=f"i{at}", prompt="p", expected="e", answer="a", score=score)
        for at, score in enumerate(scores)
    ]


def test_the_same_probe_metric_and_step_replaces_the_earlier_score(database, enqueue):
    run = enqueue()
    with database.write() as session:
        put_evaluation(session, _evaluation(run.id), _items(0.0, 1.0))
        put_evaluation(session, _evaluation(run.id, subset=True, score=0.3), _items(0.0))
    with database.write() as session:
        put_evaluation(session, _evaluation(run.id, score=1.0), _items(1.0))

    evaluations = Evaluations(database)
    [whole] = evaluations.of_run(run.id, subset=False)
    assert whole.score == 1.0
    assert [item.score for item in evaluations.items(whole.id)] == [1.0]
    assert len(evaluations.of_run(run.id)) == 2


def test_only_whole_evaluations_are_known_by_their_fingerprint(database, enqueue):
    run = enqueue()
    with database.write() as session:
        put_evaluation(session, _evaluation(run.id, fingerprint="part", subset=True), [])
        put_evaluation(session, _evaluation(run.id, fingerprint="", probe="other"), [])
        put_evaluation(session, _evaluation(run.id, fingerprint="whole"), _items(0.0, 1.0))

    evaluations = Evaluations(database)
    assert evaluations.known("part") is None
    assert evaluations.known("") is None
    _, items = evaluations.known("whole")
    assert [(item.item_id, item.score) for item in items] == [("i0", 0.0), ("i1", 1.0)]


def test_checkpoints_are_kept_once_a_step(database, enqueue):
    run = enqueue()
    with database.write() as session:
        put_checkpoint(session, run.id, 20, "runs/x/20", "a", 1)
        put_checkpoint(session, run.id, 40, "runs/x/40", "b", 2)
        put_checkpoint(session, run.id, 20, "runs/x/20", "c", 5_000_000_000)

    artifacts = Artifacts(database)
    found = [(point.step, point.sha256) for point in artifacts.checkpoints(run.id)]
    assert found == [(20, "c"), (40, "b")]
    assert artifacts.checkpoint(run.id).step == 40
    assert artifacts.checkpoint(run.id, 20).bytes == 5_000_000_000
    assert artifacts.checkpoint(run.id, 30) is None


def test_artifacts_are_found_by_id_and_run(database, enqueue):
    run = enqueue()
    added = Artifacts(database).add("adapter", "exports/a", "s", 10, run.id)

    assert Artifacts(database).get(added.id).path == "exports/a"
    assert [artifact.id for artifact in Artifacts(database).of_run(run.id)] == [added.id]
    assert Artifacts(database).get("nothing") is None


def large(content_hash, rows):
    return NewVersion(content_hash, "exact", {}, {"ok": True}, {"seed": 0}, rows)


def many(count=5000):
    for i in range(count):
        yield ("training" if i < count - 9 else "held_out"), {"id": str(i)}


def test_a_large_version_is_stored_in_short_transactions_and_then_seen(database):
    tasks = Tasks(database)
    seen = []

    def watched():
        for part, row in many():
            if row["id"] in ("3000", "4999"):
                # Another connection can write meanwhile, and sees nothing of it.
                with database.write() as session:
                    session.add(Task(name=f"other-{row['id']}"))
                seen.append([task.name for task in tasks.all()])
            yield part, row

    version, is_new = tasks.add_version("a", large("h1", watched()))
    assert seen == [["other-3000"], ["other-3000", "other-4999"]]
    assert (is_new, version.number, version.training, version.held_out) == (True, 1, 4991, 9)
    assert [row["id"] for row in tasks.rows(version.id)] == [str(i) for i in range(5000)]
    assert tasks.add_version("a", large("h1", many()))[1] is False
    assert tasks.add_version("a", large("h2", many()))[0].number == 2
    assert tasks.by_name(".staging") is None


def test_a_large_version_that_breaks_off_leaves_nothing(database):
    def broken():
        yield from many()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Tasks(database).add_version("a", large("h1", broken()))
    with database.read() as session:
        assert session.query(TaskVersion).count() == session.query(TaskRow).count() == 0
    assert Tasks(database).all() == []


def test_what_a_killed_process_left_staged_is_removed_by_the_next(database):
    version_id, _ = stage(database, "exact", [[{"part": "training", "content": {}}]])
    with database.write() as session:
        left = session.get(TaskVersion, version_id)
        # No process has so high an id.
        left.origin = {**left.origin, "pid": 2**31 - 2}
    kept, _ = stage(database, "exact", [[{"part": "training", "content": {}}]])
    drop_stale(database)
    with database.read() as session:
        assert [version.id for version in session.query(TaskVersion)] == [kept]
        assert session.query(TaskRow).count() == 1
