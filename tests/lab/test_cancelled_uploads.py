"""Adding a file can be ended at any point, and then nothing of it is in the lab."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.lab import Lab, Progress
from storage.models import Artifact, Task, TaskRow, TaskVersion
from tests.lab.tiny_tasks import rows, write_rows


class EndedError(Exception):
    """What a page raises to end an upload."""


@pytest.mark.parametrize(
    ("stage", "rows_done"), [("reading", 0), ("reading", 2000), ("storing", 2000)]
)
def test_nothing_is_stored_of_a_file_that_was_ended(
    lab: Lab, tmp_path: Path, stage: str, rows_done: int
) -> None:
    file = write_rows(tmp_path / "many.jsonl", rows(2600))
    told: list[Progress] = []

    def watch(so_far: Progress) -> None:
        told.append(so_far)
        if so_far.stage == stage and so_far.rows >= rows_done:
            raise EndedError

    with pytest.raises(EndedError):
        lab.add_task(file, "many", watch=watch)
    assert told[-1].stage == stage
    assert 0 <= told[-1].share <= 1
    assert list((lab.settings.home / "uploads").glob("*")) == []
    with lab.database.read() as session:
        for table in (Task, TaskVersion, TaskRow, Artifact):
            assert session.query(table).count() == 0
    assert lab.add_task(file, "many")["rows"] == {"training": 2080, "held_out": 520}


def test_a_check_can_be_ended_too(lab: Lab, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "many.jsonl", rows(2600))

    def watch(so_far: Progress) -> None:
        if so_far.rows >= 2000:
            raise EndedError

    with pytest.raises(EndedError):
        lab.views.check_upload(file, "many", watch=watch)
