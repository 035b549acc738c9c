"""Offline self-training: answers are sampled once, by the model as the run finds it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.config import RunConfig
from backend.errors import DataError, StopRequested
from backend.training.loop import train
from backend.training.row_checks import Rows
from backend.training.sampled_set import NAME, lines_of
from tests.recording import ListRecorder
from tests.training.tiny_runs import demonstrations, tiny_config, tiny_trainer

ROWS = Rows(demonstrations(9), demonstrations(2, first=100))


def ssd(**changes: Any) -> RunConfig:
    return tiny_config("ssd", **changes)


def run(folder: Path, target: Path, config: RunConfig, recorder: ListRecorder) -> None:
    train(tiny_trainer(folder, config), ROWS, recorder, target, lambda done: None)


def stored(target: Path) -> dict[str, list[int]]:
    completions: dict[str, list[int]] = json.loads((target / NAME).read_text())["completions"]
    return completions


def test_every_step_reads_the_same_samples(tiny_folder: Path, tmp_path: Path) -> None:
    recorder = ListRecorder()
    config = ssd(traces__every=1, traces__watched=0, traces__sampled=4)
    run(tiny_folder, tmp_path, config, recorder)
    kept = stored(tmp_path)
    decode = tiny_trainer(tiny_folder, config).model.tokenizer.decode
    assert {trace.source for trace in recorder.traces} == {"sampled"}
    for trace in recorder.traces:
        assert trace.completion == decode(kept[trace.demonstration_id])
        assert trace.teacher_prompt is None
    assert recorder.events[0].kind == "sampled"
    assert [event.kind for event in recorder.events].count("sampled") == 1
    assert all("student_share" in values for values in recorder.values.values())


def test_only_rows_that_the_run_comes_to_are_sampled(tiny_folder: Path, tmp_path: Path) -> None:
    run(tiny_folder, tmp_path, ssd(steps=1, batch_size=3), ListRecorder())
    assert len(stored(tmp_path)) <= 3


def test_stubs_are_left_out(tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="9 sampled answers are empty or have fewer than 40 lines"):
        run(tiny_folder, tmp_path, ssd(rollout__min_lines=40), ListRecorder())
    assert not (tmp_path / NAME).exists()
    assert [lines_of(text) for text in ("", " \n ", "a", "a\n\nb\n")] == [0, 0, 1, 2]


def test_a_wish_to_stop_ends_the_sampling(tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StopRequested, match="while sampling"):
        run(tiny_folder, tmp_path, ssd(), ListRecorder(stop_after=0))


def test_the_set_outlives_a_crash_and_a_lost_file(tiny_folder: Path, tmp_path: Path) -> None:
    """A resume reads it again; where it is gone, the same one is sampled again."""
    whole, parted = ListRecorder(), ListRecorder(stop_after=3)
    run(tiny_folder, tmp_path / "whole", ssd(), whole)
    with pytest.raises(StopRequested):
        run(tiny_folder, tmp_path / "parted", ssd(), parted)
    before = stored(tmp_path / "parted")
    (tmp_path / "parted" / NAME).unlink()
    parted.stop_after = None
    run(tiny_folder, tmp_path / "parted", ssd(), parted)
    assert stored(tmp_path / "parted") == before == stored(tmp_path / "whole")
    assert losses(parted) == losses(whole)


def losses(recorder: ListRecorder) -> dict[int, float]:
    return {step: values["loss"] for step, values in recorder.values.items()}


def test_demonstrations_are_not_read(tiny_folder: Path, tmp_path: Path) -> None:
    """It is self-training: other demonstrations, the same run."""
    other = Rows(
        [row.model_copy(update={"demonstration": "you"}) for row in ROWS.training], ROWS.held_out
    )
    recorders = [ListRecorder(), ListRecorder()]
    for rows, recorder, name in zip((ROWS, other), recorders, "ab", strict=True):
        trainer = tiny_trainer(tiny_folder, ssd())
        train(trainer, rows, recorder, tmp_path / name, lambda done: None)
    assert losses(recorders[0]) == losses(recorders[1])


def test_rows_that_the_run_never_comes_to_are_not_called_too_long(
    tiny_folder: Path, tmp_path: Path
) -> None:
    recorder = ListRecorder()
    run(tiny_folder, tmp_path, ssd(steps=1, batch_size=2), recorder)
    assert len(stored(tmp_path)) < len(ROWS.training)
    assert [event for event in recorder.events if event.kind == "rows_skipped"] == []
