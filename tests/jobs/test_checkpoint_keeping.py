"""The last checkpoints and the best one stay; the others go from disk and database."""

from pathlib import Path

import pytest

from backend.jobs.recorder import StoredRecorder
from backend.training.recorder import Evaluation
from storage.artifacts import Artifacts
from storage.claims import Claims


@pytest.fixture
def save(database, settings, add_run):
    """Saves a checkpoint of each step, and scores it where a score is given."""
    run = add_run(keep_checkpoints=2)
    Claims(database).ensure_slots(["cpu:0"])
    Claims(database).claim("me")
    recorder = StoredRecorder(database, run.id, "me", 1, settings, run.config)

    def do(*scores: float | None) -> tuple[list[int], list[str]]:
        for step, score in enumerate(scores, start=1):
            folder = Path(settings.home, "runs", run.id, "checkpoints", f"step-{step:08d}")
            folder.mkdir(parents=True)
            recorder.checkpoint(step, folder, "s", 1)
            if score is not None:
                recorder.evaluation(step, Evaluation("task", "exact", score, 4, 0.0, 1.0))
        kept = [point.step for point in Artifacts(database).checkpoints(run.id)]
        return kept, sorted(path.name for path in folder.parent.iterdir())

    return do


def test_the_last_and_the_best_stay(save):
    kept, on_disk = save(0.1, 0.9, 0.9, 0.2, None, 0.3)
    assert kept == [2, 5, 6]
    assert on_disk == ["step-00000002", "step-00000005", "step-00000006"]


def test_without_scores_only_the_last_stay(save):
    assert save(None, None, None)[0] == [2, 3]


def test_the_best_may_be_among_the_last(save):
    assert save(0.1, 0.2, 0.9, 0.3)[0] == [3, 4]
