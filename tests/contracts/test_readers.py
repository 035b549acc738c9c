"""What every reader keeps to: the same rows from every format, numbered, streamed, no crash."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.ipc
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


def write_arrow(path: Path, rows: Rows) -> None:
    table = pyarrow.Table.from_pylist(rows)
    with pyarrow.ipc.new_file(path, table.schema) as file:
        file.write_table(table)


def write_dataset(path: Path, rows: Rows) -> None:
    """As save_to_disk of Hugging Face's datasets has it."""
    path.mkdir()
    half = max(len(rows) // 2, 1)
    names = ["data-00000-of-00002.arrow", "data-00001-of-00002.arrow"]
    for name, part in zip(names, (rows[:half], rows[half:]), strict=True):
        table = pyarrow.Table.from_pylist(part, pyarrow.Table.from_pylist(rows).schema)
        with pyarrow.ipc.new_stream(path / name, table.schema) as stream:
            stream.write_table(table)
    state = {"_data_files": [{"filename": name} for name in names], "_split": None}
    (path / "state.json").write_text(json.dumps(state))


def write_folder(path: Path, rows: Rows) -> None:
    path.mkdir()
    half = max(len(rows) // 2, 1)
    write_csv(path / "a.csv", rows[:half])
    write_parquet(path / "b.parquet", rows[half:])


def write_zip(path: Path, rows: Rows) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        archive.writestr("inner/rows.jsonl", lines)
        archive.writestr("__MACOSX/inner/._rows.jsonl", b"\0")


def write_text(path: Path, rows: Rows) -> None:
    # What holds for a table holds for a corpus where it is a table of headings and passages.
    path.write_text("".join(f"# {row['question']}\n\n{row['answer']}\n\n" for row in rows))


WRITERS: dict[str, Callable[[Path, Rows], None]] = {
    "jsonl": write_jsonl,
    "json": write_json,
    "csv": write_csv,
    "parquet": write_parquet,
    "arrow": write_arrow,
    "dataset": write_dataset,
    "folder": write_folder,
    "zip": write_zip,
    "text": write_text,
}
SUFFIXES = {"text": "txt"}
every_reader = pytest.mark.parametrize("name", READERS)
table_reader = pytest.mark.parametrize("name", [name for name in READERS if name != "text"])
TEXT_READERS = ["jsonl", "json", "csv"]
FILES = [name for name in READERS if name not in ("dataset", "folder")]


def write(folder: Path, name: str, rows: Rows) -> Path:
    path = folder / f"rows.{SUFFIXES.get(name, name)}"
    WRITERS[name](path, rows)
    return path


@table_reader
def test_rows_come_out_as_they_went_in_numbered_from_1(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, name, ROWS)
    assert list(READERS[name](path)) == [Row(i, row) for i, row in enumerate(ROWS, 1)]


@every_reader
def test_the_format_is_found(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, name, ROWS)
    assert detect(path) == name
    assert list(read(path)) == list(READERS[name](path))


@pytest.mark.parametrize("name", ["json", "jsonl", "parquet", "arrow", "zip", "dataset", "folder"])
def test_the_format_is_found_without_a_telling_name(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, name, ROWS).rename(tmp_path / "upload.bin")
    assert detect(path) == name


@table_reader
def test_many_rows_are_all_read(name: str, tmp_path: Path) -> None:
    rows = [{"question": f"question {i} " + "x" * (i % 97), "answer": str(i)} for i in range(3000)]
    assert [row.fields for row in read(write(tmp_path, name, rows)) if isinstance(row, Row)] == rows


@table_reader
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


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_off_anywhere_ends_in_words(name: str, tmp_path: Path) -> None:
    whole = write(tmp_path, name, ROWS).read_bytes()
    path = tmp_path / f"torn.{SUFFIXES.get(name, name)}"
    for length in range(0, len(whole), max(len(whole) // 60, 1)):
        path.write_bytes(whole[:length])
        assert_only_words(path)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@pytest.mark.parametrize("name", FILES)
def test_any_bytes_end_in_words(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"any.{SUFFIXES.get(name, name)}"
    path.write_bytes(content)
    assert_only_words(path)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
@pytest.mark.parametrize("name", ["parquet", "arrow", "zip"])
def test_a_file_with_some_other_bytes_ends_in_words(
    name: str, data: st.DataObject, tmp_path: Path
) -> None:
    whole = tmp_path / f"whole.{name}"
    if not whole.exists():
        WRITERS[name](whole, ROWS)
    content = bytearray(whole.read_bytes())
    places = st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=4)
    for place, value in data.draw(places):
        content[place] = value
    path = tmp_path / f"other.{name}"
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
