"""What every reader keeps to: the same rows from every format, numbered, streamed, no crash."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.data.formats.row import Row
from backend.data.readers import READERS, detect, read
from backend.data.report import FileError, Problem

Rows = list[dict[str, str]]
ROWS: Rows = [
    {"question": "Turn on the light", "answer": "light.on()"},
    {"question": 'quotes " and , and ;', "answer": "two\nlines"},
    {"question": "Grüße 🙂\u2028", "answer": "  {x} $y \\n "},
    {"question": "", "answer": "null"},
]


def write_jsonl(path: Path, rows: Rows) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def write_json(path: Path, rows: Rows) -> None:
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False))


def write_csv(path: Path, rows: Rows) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["question", "answer"])
        writer.writeheader()
        writer.writerows(rows)


def write_parquet(path: Path, rows: Rows) -> None:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


WRITERS: dict[str, Callable[[Path, Rows], None]] = {
    "jsonl": write_jsonl,
    "json": write_json,
    "csv": write_csv,
    "parquet": write_parquet,
}
every_reader = pytest.mark.parametrize("name", READERS)
TEXT_READERS = [name for name in READERS if name != "parquet"]


def write(folder: Path, name: str, rows: Rows) -> Path:
    path = folder / f"rows.{name}"
    WRITERS[name](path, rows)
    return path


@every_reader
def test_rows_come_out_as_they_went_in_numbered_from_1(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, name, ROWS)
    assert list(READERS[name](path)) == [Row(i, row) for i, row in enumerate(ROWS, 1)]


@every_reader
def test_the_format_is_found(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, name, ROWS)
    assert detect(path) == name
    assert list(read(path)) == list(READERS[name](path))


@pytest.mark.parametrize("name", ["json", "jsonl", "parquet"])
def test_the_format_is_found_without_a_telling_name(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, name, ROWS).rename(tmp_path / "upload.bin")
    assert detect(path) == name


@every_reader
def test_many_rows_are_all_read(name: str, tmp_path: Path) -> None:
    rows = [{"question": f"question {i} " + "x" * (i % 97), "answer": str(i)} for i in range(3000)]
    assert [row.fields for row in read(write(tmp_path, name, rows)) if isinstance(row, Row)] == rows


@every_reader
def test_rows_are_handed_on_before_the_end_is_read(name: str, tmp_path: Path) -> None:
    rows = iter(READERS[name](write(tmp_path, name, ROWS)))
    assert next(rows) == Row(1, ROWS[0])


@pytest.mark.parametrize("name", TEXT_READERS)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "BOM"])
@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_byte_order_marks_and_all_line_endings_are_read(
    name: str, mark: bytes, ending: bytes, tmp_path: Path
) -> None:
    rows = [ROWS[0], ROWS[2]]
    path = write(tmp_path, name, rows)
    lines = path.read_bytes().replace(b"\r\n", b"\n")
    path.write_bytes(mark + lines.replace(b"\n", ending))
    assert list(read(path)) == [Row(1, rows[0]), Row(2, rows[1])]


@every_reader
def test_a_file_cut_off_anywhere_ends_in_words(name: str, tmp_path: Path) -> None:
    whole = write(tmp_path, name, ROWS).read_bytes()
    path = tmp_path / f"torn.{name}"
    for length in range(0, len(whole), max(len(whole) // 60, 1)):
        path.write_bytes(whole[:length])
        assert_only_words(path)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@pytest.mark.parametrize("name", TEXT_READERS)
def test_any_bytes_end_in_words(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"any.{name}"
    path.write_bytes(content)
    assert_only_words(path)


JSON_LIKE = st.text('[]{}",:\\ \n0123456789abu-.eE+ntrfls', max_size=60)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=JSON_LIKE)
@pytest.mark.parametrize("name", ["json", "jsonl"])
def test_any_json_like_text_ends_in_words(name: str, content: str, tmp_path: Path) -> None:
    path = tmp_path / f"like.{name}"
    path.write_text(content)
    assert_only_words(path)


def assert_only_words(path: Path) -> None:
    """Rows, problems and FileErrors are the only outcomes, and none lacks its remedy."""
    problems: list[Problem] = []
    try:
        for number, row in enumerate(read(path), 1):
            if isinstance(row, Problem):
                assert row.row is not None
                problems.append(row)
            else:
                assert row.number >= number
                assert isinstance(row.fields, dict)
    except FileError as error:
        problems.append(error.problem)
    assert all(problem.problem and problem.remedy and problem.kind for problem in problems)
