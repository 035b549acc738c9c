"""Every file of the gallery is refused with its very words, in message and report."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.data.gallery import GALLERY, GOOD
from tests.data.loading import load, pairs, refusal, write


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [case[1:] for case in GALLERY],
    ids=[case[0] for case in GALLERY],
)
def test_a_broken_file_is_refused_in_words(
    file: str, content: str | bytes, message: str, tmp_path: Path
) -> None:
    error = refusal(write(tmp_path / file, content))
    assert str(error) == message
    assert error.exit_code == 2
    assert not error.report.ok
    assert error.report.problems[0].problem in message
    assert sum(error.report.counts.values()) >= 1
    assert "kind" not in error.report.model_dump(mode="json")["problems"][0]


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert str(refusal(tmp_path / "x.csv")) == "x.csv: there is no such file; check the path"
    folder = tmp_path / "rows"
    folder.mkdir()
    assert str(refusal(folder)) == (
        "rows: it is a folder without data files; give a JSONL, JSON, CSV, Parquet or Arrow file, "
        "or a folder that holds some"
    )


def test_a_device_is_refused() -> None:
    assert "it is a device or pipe" in str(refusal(Path("/dev/zero")))


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    with path.open("wb") as file:
        file.truncate((1 << 20) + 52_429)
    assert str(refusal(path)) == (
        "x.jsonl: it has 1.1 MiB, the limit is 1 MiB; split the file, or raise SDLAB_MAX_UPLOAD_MIB"
    )


def test_what_a_zip_holds_counts_as_its_size(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.jsonl", (GOOD + " " * 1000) * 2000)
    assert path.stat().st_size < 1 << 20
    assert str(refusal(path)) == (
        "x.zip: unpacked it would have 2.0 MiB, the limit is 1 MiB; split the file, or raise "
        "SDLAB_MAX_UPLOAD_MIB"
    )


def test_nothing_is_written_outside_and_nothing_left_of_an_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    for case, file, content, _ in GALLERY:
        if file.endswith(".zip") and isinstance(content, bytes):
            refusal(write(tmp_path / file, content))
            assert sorted(tmp_path.iterdir()) == [scratch, tmp_path / file], case
            assert list(scratch.iterdir()) == [], case


def test_a_line_of_ten_megabytes_is_read_and_warned_of(tmp_path: Path) -> None:
    rows = [*pairs(4), {"prompt": "x" * (10 << 20), "answer": "y"}]
    loaded = load(write(tmp_path / "x.jsonl", rows), max_mib=20)
    (warning,) = loaded.report.warnings
    assert warning.startswith("1 row (row 5) with over 2,000 characters")


def test_a_row_that_never_ends_is_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", "x" * ((16 << 20) + 5) + "\n" + GOOD)
    error = refusal(path, max_mib=20)
    assert str(error) == (
        "x.jsonl, row 1: the row is longer than 16,777,216 characters; shorten or remove it"
    )
    assert error.report.rows_read == 3


def test_good_rows_after_thousands_of_broken_ones_are_not_read_by_no_column(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", '{"x"\n' * 10_001 + GOOD)
    assert str(refusal(path, keep_good=True)).startswith(
        "x.jsonl, row 10002: none of the 10,001 rows before it can be read, so no column is known"
    )
