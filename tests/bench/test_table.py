"""The engine's table holds what was measured against its targets, and what was not measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench import table
from bench.table import Row, rows_of

STEP = {
    "ratio": 0.3,
    "spread": [0.29, 0.32],
    "disagreement": {"loss": 1e-7, "gradient": 1e-6, "tokens": 4},
    "limit": {"share": 0.7, "spread": [0.6, 0.8]},
}
WORKS = ("step-8-28-1-0", "step-32-28-1-0", "step-8-64-4-300")
GREEDY = '<testsuites><testsuite tests="{}" failures="{}" errors="0" skipped="0"/></testsuites>'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a run of all benches leaves, each target met."""
    documents: dict[str, Any] = {
        **dict.fromkeys(WORKS, STEP),
        "memory": {"ratio": 0.2},
        "rollouts": {
            "results": [
                {"work": work, "ratio": 3.5, "spread": [3.0, 4.0]}
                for work in ("8 rows", "16 rows", "32 rows", "8 rows, drafts")
            ]
        },
        "growth": {"ratio": 1.1, "memory": {"ratio": 1.3, "spread": [1.1, 1.4]}},
        "traces": {"results": [{"run": "sft", "ratio": 1.0}, {"run": "sdft", "ratio": 1.01}]},
        "evaluation": {
            "results": [
                {"work": "choices", "ratio": 4.0, "spread": [3.9, 4.1], "differing_items": 0},
                {"work": "written answers", "ratio": 1.5, "differing_items": 0},
            ]
        },
    }
    for name, document in documents.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(document), "utf-8")
    (tmp_path / "greedy.xml").write_text(GREEDY.format(20, 0), "utf-8")
    return tmp_path


def test_all_rows_are_met(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert table.main([str(folder)]) == 0
    told = capsys.readouterr().out
    assert (
        "| step against TRL: 8 prompts, 28 tokens | 0.30 (0.29 to 0.32) | at most 0.55 | met |"
        in told
    )
    assert "missed" not in told
    assert told.count("\n") == 2 + len(rows_of(folder)) == 2 + 17


def test_nothing_measured_is_missed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert table.main([str(tmp_path)]) == 1
    assert capsys.readouterr().out.count("| not measured |") == len(rows_of(tmp_path))


@pytest.mark.parametrize(
    ("name", "change", "work"),
    [
        ("step-8-28-1-0", {"ratio": 0.56}, "step against TRL: 8 prompts, 28 tokens"),
        ("step-8-28-1-0", {"disagreement": {"loss": 1e-3, "gradient": 0.0, "tokens": 4}},
         "step against TRL: 8 prompts, 28 tokens"),
        ("step-32-28-1-0", {"limit": {"share": 0.1, "spread": [0.1, 0.2]}},
         "share of the arithmetic limit: 32 prompts, 28 tokens"),
        ("memory", {"ratio": 0.41}, "memory of a step against TRL: 32 prompts, 128 tokens"),
        ("rollouts", {"results": [{"work": "16 rows", "ratio": 1.99}]},
         "rollouts against generate: 16 rows"),
        ("growth", {"memory": {"ratio": 1.6, "spread": [1.0, 1.7]}},
         "divergence's memory, 8 times the tokens"),
        ("traces", {"results": [{"run": "sft", "ratio": 1.06}]}, "step with traces: sft"),
        ("evaluation", {"results": [{"work": "choices", "ratio": 9.0, "differing_items": 1}]},
         "1,000 items against lm-eval"),
    ],
)  # fmt: skip
def test_what_is_worse_is_missed(
    name: str, change: dict[str, Any], work: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
    assert table.main([str(folder)]) == 1
    (line,) = [each for each in capsys.readouterr().out.splitlines() if f"| {work} |" in each]
    assert line.endswith("| missed |")


def test_a_failing_greedy_test_is_missed(folder: Path) -> None:
    (folder / "greedy.xml").write_text(GREEDY.format(20, 1), "utf-8")
    assert table.main([str(folder)]) == 1


@pytest.mark.parametrize(
    ("value", "is_most", "word"),
    [(0.52, False, "missed, above its floor of 0.5"), (0.49, False, "missed"), (0.61, False, "met"),
     (0.48, True, "missed, above its floor of 0.5"), (0.51, True, "missed"), (0.4, True, "met")],
)  # fmt: skip
def test_a_floor_lets_a_missed_target_pass_but_not_become_worse(
    value: float, is_most: bool, word: str
) -> None:
    row = Row("work", value, 0.45 if is_most else 0.6, is_most, floor=0.5)
    assert str(row).endswith(f"| {word} |")
    assert row.is_missed == (word == "missed")
