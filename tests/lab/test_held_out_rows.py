"""The worker's last look: no held-out prompt is ever trained on, whatever the tables say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backend.lab import Lab
from storage.models import TaskRow


def test_a_run_on_held_out_prompts_is_refused_by_the_worker(
    lab: Lab, add_task: Callable[..., str], train: Callable[..., Any]
) -> None:
    name = add_task()
    with lab.database.write() as session:
        rows = session.query(TaskRow).all()
        held_out = next(row for row in rows if row.part == "held_out")
        training = next(row for row in rows if row.part == "training")
        turns = [
            {**turn, "content": turn["content"].upper()} for turn in held_out.content["messages"]
        ]
        training.content = {**training.content, "messages": turns}
    run = train(name, "sft")
    assert run["state"] == "failed"
    assert run["error"]["message"].startswith("1 held-out prompts stand among the training rows")
    assert run["checkpoints"] == []
