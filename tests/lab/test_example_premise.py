"""A paper's premise check on its own file; the one here is made up, and of the same shape."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.errors import ConfigError, DataError
from backend.jobs.examples import toolalpaca_rows
from backend.lab import Lab

FILE = Path(__file__).parent / "toolalpaca_shape.json"


def test_every_instruction_becomes_a_row_with_its_calls() -> None:
    rows = list(toolalpaca_rows(json.loads(FILE.read_text("utf-8"))))
    assert [row["id"] for row in rows] == ["Lamps-1", "Lamps-2", "Lamps-3", "Clock-1", "Clock-2"]
    assert rows[1]["demonstration"] == (
        'Action: switchLamp\nAction Input: {"room": "hall"}\n'
        'Action: switchLamp\nAction Input: {"room": "kitchen"}'
    )
    assert "Request: Switch both lamps." in rows[1]["prompt"]
    assert "switchLamp: Switches a lamp." in rows[1]["prompt"]


def test_the_check_is_made_on_all_rows(lab: Lab, tiny_folder: Path) -> None:
    document = {"model": str(tiny_folder), "context": "earlier-turn", "max_new_tokens": 4}
    for _ in range(2):
        (job,) = lab.wait([lab.example_premise("toolalpaca", FILE, document)])
        assert job["state"] == "done", job["error"]
        found = job["result"]["premise"]
        assert found["student"]["n"] == 5
        assert found["verdict"] == "no-go"
    assert [len(task["versions"]) for task in lab.tasks()] == [1], "the file is added once"


def test_other_files_and_names_are_refused(lab: Lab, tmp_path: Path) -> None:
    other = tmp_path / "rows.json"
    other.write_text('[{"prompt": "a"}]', "utf-8")
    with pytest.raises(DataError, match="no evaluation file of toolalpaca"):
        lab.example_premise("toolalpaca", other, {})
    with pytest.raises(ConfigError, match='no example "toolpaca"'):
        lab.example_premise("toolpaca", FILE, {})
