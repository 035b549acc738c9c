"""The files that a task was made from are kept, and its version names them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from backend.errors import DataError
from backend.lab import Lab
from tests.lab.tiny_tasks import rows, write_rows


def kept(lab: Lab) -> set[str]:
    return {path.name for path in (lab.settings.home / "uploads").glob("*")}


def test_a_held_out_file_is_kept_like_the_main_one(lab: Lab, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "lights.jsonl", rows(8))
    apart = write_rows(tmp_path / "apart.jsonl", rows(3, first=100))
    lab.add_task(file, "lights", held_out=str(apart))
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (file, apart)}
    assert kept(lab) == {f"{digest}.jsonl" for digest in digests}
    split = lab.task("lights")["versions"][0]["split"]
    assert (split["by"], split["value"]) == ("file", "apart.jsonl")
    assert (lab.settings.home / split["upload"]).read_bytes() == apart.read_bytes()
    assert split["sha256"] == hashlib.sha256(apart.read_bytes()).hexdigest()


def test_nothing_is_kept_of_a_file_that_was_refused(lab: Lab, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "lights.jsonl", rows(8))
    empty = write_rows(tmp_path / "apart.jsonl", [{"prompt": "a"}])
    with pytest.raises(DataError):
        lab.add_task(file, "lights", held_out=str(empty))
    assert kept(lab) == set()


def test_a_share_names_no_file(lab: Lab, tmp_path: Path) -> None:
    lab.add_task(write_rows(tmp_path / "lights.jsonl", rows(8)), "lights")
    assert "upload" not in lab.task("lights")["versions"][0]["split"]
    assert len(kept(lab)) == 1
