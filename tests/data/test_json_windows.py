"""A JSON list read through a small window gives what reading it whole would give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.data.formats.json_list import read_json
from backend.data.formats.row import MAX_ROW_CHARS, Row
from backend.data.report import FileError

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=5), VALUES, max_size=3), max_size=6)


def fields(path: Path, chunk_chars: int) -> list[dict[str, Any]]:
    rows = list(read_json(path, chunk_chars=chunk_chars))
    assert all(isinstance(row, Row) for row in rows)
    return [row.fields for row in rows if isinstance(row, Row)]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=OBJECTS,
    chunk=st.integers(1, 12),
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 1]),
)
def test_a_window_of_any_size_gives_the_same_rows(
    rows: list[dict[str, Any]], chunk: int, ascii_only: bool, indent: int | None, tmp_path: Path
) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(rows, ensure_ascii=ascii_only, indent=indent), encoding="utf-8")
    assert fields(path, chunk) == rows
    wrapped = {"version": [1, {"data": 2}], "data": rows, "last": "x"}
    path.write_text(json.dumps(wrapped, ensure_ascii=ascii_only, indent=indent), encoding="utf-8")
    assert fields(path, chunk) == rows


@pytest.mark.parametrize("chunk", [1, 7, 1 << 16])
def test_the_place_of_an_error_does_not_depend_on_the_window(chunk: int, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('[{"a": 1},\n {"a": 2},\n {"a" 3}' + ", {}" * 50 + "]")
    with pytest.raises(FileError, match=r"row 3: not valid JSON: expecting ':' .*line 3, column 7"):
        fields(path, chunk)


def test_a_long_value_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    rows = [{"a": "x" * 500_000}, {"a": "y"}]
    path.write_text(json.dumps(rows))
    assert fields(path, 1 << 16) == rows


def test_a_text_that_is_never_closed_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    with path.open("w") as file:
        file.write('[{"a": "')
        for _ in range(2 * MAX_ROW_CHARS // (1 << 20) + 2):
            file.write("x" * (1 << 20))
    with pytest.raises(FileError, match="row 1: a value is longer than"):
        fields(path, 1 << 16)
