"""A run's checkpoints and traces, packed away after a preview and put back as they were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from backend.errors import DataError, StateError
from backend.lab import Lab
from backend.training.checkpoints import verify_checkpoint
from storage.traces import Traces

Train = Callable[..., Any]


@pytest.fixture
def run(add_task: Callable[..., str], train: Train) -> Any:
    return train(add_task(), steps=3, checkpoint_every=1)


def contents(lab: Lab, run_id: str) -> Any:
    """Everything of a run that an archive holds."""
    traces = Traces(lab.database)
    rows = traces.of_run(run_id)
    arrays = {row.id: traces.tokens(row.id) for row in rows}
    texts = [(row.id, row.student_prompt, row.completion, row.bytes) for row in rows]
    return lab.run(run_id)["checkpoints"], texts, arrays


def test_an_archive_gives_back_what_it_took(lab: Lab, run: Any) -> None:
    before, folder = contents(lab, run["id"]), lab.settings.home / "runs" / run["id"]
    preview = lab.keeping.archive([run["name"]])
    assert not preview["archived"]
    assert contents(lab, run["id"])[0] == before[0], "it was a preview"

    packed = lab.keeping.archive([run["id"]], preview=False)["runs"][0]["packed"]
    assert contents(lab, run["id"]) == ([], [], {})
    assert list((folder / "checkpoints").glob("step-*")) == []
    assert packed == (folder / "archive.tar.zst").stat().st_size
    kept = lab.run(run["id"])
    assert kept["evaluations"] == run["evaluations"]
    assert {each["kind"] for each in kept["artifacts"]} >= {"adapter", "archive"}
    assert lab.keeping.collect()["files"] == []

    lab.keeping.unarchive(run["id"])
    points, texts, arrays = contents(lab, run["id"])
    assert (points, texts) == before[:2]
    for name, stored in before[2].items():
        assert all(np.array_equal(arrays[name][key], value) for key, value in stored.items())
    for point in (folder / "checkpoints").glob("step-*"):
        verify_checkpoint(point)
    assert not (folder / "archive.tar.zst").exists()
    assert lab.run(run["id"])["artifacts"] == run["artifacts"]
    with pytest.raises(StateError, match="not archived"):
        lab.keeping.unarchive(run["id"])


def test_an_archived_run_does_not_begin_anew(lab: Lab, run: Any) -> None:
    lab.keeping.archive([run["id"]], preview=False)
    for verb in (
        lambda: lab.resume(run["id"]),
        lambda: lab.evaluate(run["id"], {"probes": ["task"]}),
        lambda: lab.keeping.archive([run["id"]]),
    ):
        with pytest.raises(StateError, match="sdlab unarchive"):
            verb()


def test_a_damaged_archive_is_told_and_nothing_is_put_back(lab: Lab, run: Any) -> None:
    lab.keeping.archive([run["id"]], preview=False)
    file = lab.settings.home / "runs" / run["id"] / "archive.tar.zst"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(DataError, match="damaged"):
        lab.keeping.unarchive(run["id"])
    assert lab.run(run["id"])["checkpoints"] == []
