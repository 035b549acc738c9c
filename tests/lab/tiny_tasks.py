"""Rows for tasks that a tiny model trains on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def rows(count: int, first: int = 1) -> list[dict[str, Any]]:
    """Short prompts and answers, all different."""
    return [
        {"id": f"row-{i}", "prompt": f"question {i}", "answer": f"light.on({i})"}
        for i in range(first, first + count)
    ]


def write_rows(path: Path, content: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in content), "utf-8")
    return path
