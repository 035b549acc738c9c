"""A paper's premise check on its own file; the one here is made up, and of the same shape."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from backend.data.demonstration import Demonstration
from backend.errors import ConfigError, DataError
from backend.jobs.tasks import demonstrations, find_task
from backend.lab import Lab
from storage.tasks import Part

FILE = Path(__file__).parent / "toolalpaca_shape.json"


def test_every_instruction_becomes_a_row_as_any_file_of_that_shape_does(lab: Lab) -> None:
    """The reader of uploaded files makes them, so that a task that is added by hand is the same."""
    lab.example_premise("toolalpaca", FILE, {})
    added = lab.add_task(FILE, "by-hand", scorer="tool-calls")
    assert added["rows"]["training"] + added["rows"]["held_out"] == 5
    example, by_hand = (
        {row.id: row for row in every_row(lab, name)} for name in ("toolalpaca", "by-hand")
    )
    assert example == by_hand
    assert sorted(example) == ["Clock-1", "Clock-2", "Lamps-1", "Lamps-2", "Lamps-3"]
    assert example["Lamps-2"].demonstration == (
        'Action: switchLamp\nAction Input: {"room": "hall"}\n'
        'Action: switchLamp\nAction Input: {"room": "kitchen"}'
    )
    (turn,) = example["Lamps-2"].messages
    assert turn.content.endswith("Request: Switch both lamps.")
    assert "switchLamp: Switches a lamp." in turn.content


def every_row(lab: Lab, name: str) -> list[Demonstration]:
    version = find_task(lab.database, name).version.id
    return [
        row
        for part in ("training", "held_out")
        for row in demonstrations(lab.database, version, cast(Part, part))
    ]


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
    with pytest.raises(DataError, match=r"no evaluation file of toolalpaca: .* shape unknown"):
        lab.example_premise("toolalpaca", other, {})
    with pytest.raises(ConfigError, match='no example "toolpaca"'):
        lab.example_premise("toolpaca", FILE, {})
