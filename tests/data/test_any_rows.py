"""Rows of any content end as demonstrations or as words, never as a traceback."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.data.formats.parts import read_saved_dataset
from backend.data.looking import look
from backend.data.preview import preview
from backend.data.report import FileError, Problem, ReportedDataError
from backend.errors import SdlabError
from tests.data.loading import load, write

NAMES = st.sampled_from(
    [
        "prompt",
        "answer",
        "messages",
        "conversations",
        "tools",
        "instruction",
        "input",
        "output",
        "tags",
        "id",
        "split",
        "group",
        "reference",
        "system",
        "privileged_context",
        "completion",
        "Instructions",
        "Golden_Answers",
        "NLDocumentation",
        "Name",
        "heading",
        "passage",
        "x",
    ]
)
ROLES = st.sampled_from(["system", "user", "assistant", "tool", "human", "gpt", "function_call"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["train", "test", '{"name": "f"}', "[]", " ", "\ud83d", "=1+1", "a\0"])
)
TURNS = st.fixed_dictionaries(
    {},
    optional={
        "role": ROLES | SCALARS,
        "from": ROLES | SCALARS,
        "content": SCALARS,
        "value": SCALARS,
        "tool_calls": st.lists(st.dictionaries(st.sampled_from(["function", "name"]), SCALARS)),
    },
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["Action", "function", "arguments"]), inner, max_size=2)
        | st.lists(TURNS, max_size=3)
    ),
    max_leaves=8,
)
ROWS = st.lists(st.dictionaries(NAMES, VALUES, max_size=5), min_size=1, max_size=5)
bounded = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


def check_words(error: SdlabError, problems: Sequence[Problem]) -> None:
    assert error.message
    assert error.remedy
    assert all(each.problem and each.remedy and each.kind for each in problems)


@bounded
@given(rows=ROWS)
def test_any_rows_end_in_words(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", rows)
    faulty = tmp_path / "faulty.jsonl"
    faulty.unlink(missing_ok=True)
    try:
        loaded = load(path, keep_good=True, faulty_to=faulty, held_out=None)
    except ReportedDataError as error:
        check_words(error, error.report.problems)
    else:
        assert len(loaded.training) >= 1 <= len(loaded.held_out)
        assert all(row.messages and row.demonstration for row in loaded.training)
    if faulty.exists():
        assert all(json.loads(line)["problems"] for line in faulty.read_text().splitlines())
    try:
        json.dumps(preview(look(path, 1), {}, ()), ensure_ascii=False).encode()
    except ReportedDataError as error:
        check_words(error, error.report.problems)


STATES = st.recursive(
    SCALARS | st.sampled_from(["data.arrow", "../x", "/etc/passwd"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["_data_files", "filename", "splits", "_indices_data_files"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@bounded
@given(name=st.sampled_from(["state.json", "dataset_dict.json"]), state=STATES)
def test_any_saved_dataset_ends_in_words(name: str, state: Any, tmp_path: Path) -> None:
    for path in tmp_path.iterdir():
        path.unlink()
    (tmp_path / name).write_text(json.dumps(state))
    try:
        assert list(read_saved_dataset(tmp_path)) == []
    except FileError as error:
        check_words(error, [error.problem])
