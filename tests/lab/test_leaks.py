"""Near-duplicates are warned of at once in a small task, and looked for by a job in any."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.errors import NotFound
from backend.lab import Lab
from tests.cli import contract
from tests.lab.tiny_tasks import write_rows

PROMPTS = [f"turn on the light number {word} in the big kitchen" for word in "abcd"]
OTHERS = [f"{word} is a thing of its own" for word in ("one", "two", "three")]


def add(lab: Lab, tmp_path: Path) -> dict[str, object]:
    training = [{"prompt": prompt, "answer": prompt[-3:]} for prompt in (*PROMPTS[:3], *OTHERS)]
    file = write_rows(tmp_path / "x.jsonl", training)
    apart = [{"prompt": PROMPTS[3], "answer": "x"}, {"prompt": "far away", "answer": "y"}]
    return lab.add_task(file, "lights", held_out=str(write_rows(tmp_path / "h.jsonl", apart)))


def test_a_leak_is_warned_of_with_an_example(lab: Lab, tmp_path: Path) -> None:
    report = add(lab, tmp_path)["report"]
    assert isinstance(report, dict)
    (warning,) = report["warnings"]
    assert warning.startswith("1 held-out row nearly stands among the training rows")
    assert "row 1 is 80% like row 1" in warning
    assert report["counts"] == {"near_leak": 1}


def test_a_search_is_a_job_with_its_result(lab: Lab, tmp_path: Path) -> None:
    add(lab, tmp_path)
    (run,) = lab.wait([lab.start_leak_search("lights")])
    contract.check(contract.Run, run)
    assert (run["state"], run["kind"], run["error"]) == ("done", "leaks", None)
    found = run["result"]["leaks"]
    assert (found["found"], found["held_out"]) == (1, 2)
    assert found["pairs"][0]["held_out_text"] == PROMPTS[3]
    assert lab.views.models() == ["bundled:smollm2-135m-instruct"]
    with pytest.raises(NotFound):
        lab.start_leak_search("none")


def test_a_search_can_be_stopped(lab: Lab, tmp_path: Path) -> None:
    add(lab, tmp_path)
    run_id = lab.start_leak_search("lights")
    lab.stop(run_id)
    assert lab.run(run_id)["state"] == "cancelled"
