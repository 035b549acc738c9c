"""Writes a file and takes it through the one door, as the tests of this folder need it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from backend.data.load import Loaded, Loading, load_demonstrations
from backend.data.report import Report, ReportedDataError

DEFAULTS: Mapping[str, Any] = {
    "held_out": 1,
    "max_mib": 1,
}


def write(path: Path, content: str | bytes | Iterable[Mapping[str, Any]]) -> Path:
    """Text and bytes as they stand, anything else as lines of JSON."""
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, str):
        path.write_text(content, encoding="utf-8")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")
    return path


def pairs(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Good rows that all differ."""
    return [{"prompt": f"say {i}", "answer": f"it is {i}"} for i in range(start, start + count)]


def load(path: Path, **options: Any) -> Loaded:
    return load_demonstrations(path, Loading(**{**DEFAULTS, **options}))


def refusal(path: Path, **options: Any) -> ReportedDataError:
    with pytest.raises(ReportedDataError) as caught:
        load(path, **options)
    return caught.value


def report_of(path: Path, **options: Any) -> Report:
    return refusal(path, **options).report
