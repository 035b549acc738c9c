"""Adding a file can be ended at any point, and then nothing of it is in the lab."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.lab import Lab
from storage.models import Artifact, Task, TaskRow, TaskVersion
from tests.lab.tiny_tasks import rows, write_rows


class EndedError(Exception):
    """What a page raises to end an upload."""


@pytest.mark.parametrize(
    ("what", "done"), [("reading", 0), ("reading", 1000), ("comparing", 500), ("storing", 2000)]
)
def test_nothing_is_stored_of_a_file_that_was_ended(
    lab: Lab, tmp_path: Path, what: str, done: int
) -> None:
    file = write_rows(tmp_path / "many.jsonl", rows(2600))
    told: list[tuple[str, int, int | None]] = []

    def progress(doing: str, so_far: int, total: int | None) -> None:
        told.append((doing, so_far, total))
        if (doing, so_far) == (what, done):
            raise EndedError

    with pytest.raises(EndedError):
        lab.add_task(file, "many", progress=progress)
    assert told[-1][:2] == (what, done)
    assert told[-1][2] == (None if what == "reading" else 2600)
    assert list((lab.settings.home / "uploads").glob("*")) == []
    with lab.database.read() as session:
        for table in (Task, TaskVersion, TaskRow, Artifact):
            assert session.query(table).count() == 0
    assert lab.add_task(file, "many")["rows"] == {"training": 2080, "held_out": 520}


def test_a_check_can_be_ended_too(lab: Lab, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "many.jsonl", rows(600))

    def progress(doing: str, _so_far: int, _total: int | None) -> None:
        if doing == "comparing":
            raise EndedError

    with pytest.raises(EndedError):
        lab.views.check_upload(file, "many", progress=progress)
