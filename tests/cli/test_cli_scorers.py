"""Scorers on the command line: chosen with their parameters, tried, and refused with a remedy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.cli.command import Outcome


def test_an_answer_is_scored_with_its_reason(call: Callable[..., Outcome], tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"prompt": f"light {i}", "answer": f"{i}"} for i in range(1, 5)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    added = call("task", "add", path, "--name", "counted", "--scorer", r"regex:is (\d+)",
                 "--scorer-options", '{"last": true}', "--json").done()  # fmt: skip
    assert added["scorer"] == r'regex:{"last": true, "pattern": "is (\\d+)"}'
    row = call("task", "try", "counted", "--row", 1, "--answer", "?", "--json").done()
    answer = f"is 0, no: is {row['expected']}"
    tried = call("task", "try", "counted", "--row", 1, "--answer", answer)
    assert (tried.code, tried.out) == (0, f"1.00  found '{row['expected']}'\n")
    other = call("task", "try", "counted", "--row", 1, "--answer", answer, "--scorer", "exact")
    assert other.out == "0.00  differs\n"
    off = call("task", "try", "counted", "--row", 1, "--answer", "x", "--scorer", "code", "--json")
    assert off.code == 2
    assert off.document["error"]["remedy"].startswith("read docs/scorers.md")
