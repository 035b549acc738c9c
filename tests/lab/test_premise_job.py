"""A premise check tells which reader it asks, and heeds a wish to end between two of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from backend.errors import StopRequested
from backend.jobs.work.context import JobContext
from backend.jobs.work.premise import premise
from backend.lab import Lab
from backend.text.contexts import DEMONSTRATION_FORMS
from tests.recording import ListRecorder

# The student, and the teacher in each form that shows demonstrations.
READERS = 1 + len(DEMONSTRATION_FORMS)


@pytest.fixture
def check(
    lab: Lab, add_task: Callable[..., str], tiny_folder: Path, tmp_path: Path
) -> Callable[[ListRecorder], None]:
    config = {"task": add_task(), "model": str(tiny_folder), "max_new_tokens": 4}

    def run(recorder: ListRecorder) -> None:
        premise(JobContext("id", "premise", config, lab.database, lab.settings, recorder, tmp_path))

    return run


def test_each_reader_is_a_step(check: Callable[[ListRecorder], None]) -> None:
    recorder = ListRecorder()
    check(recorder)
    assert recorder.steps[1:] == [(done, READERS) for done in range(READERS + 1)]
    assert set(recorder.results) == {"premise"}


def test_a_check_that_is_stopped_finds_nothing(check: Callable[[ListRecorder], None]) -> None:
    recorder = ListRecorder(stop_after=2)
    with pytest.raises(StopRequested):
        check(recorder)
    assert recorder.steps[-1] == (2, READERS)
    assert recorder.results == {}
