"""General prompts to train on in place of a task's, as rows."""

from __future__ import annotations

import json

from backend.bundled import material_path
from backend.data.demonstration import Demonstration, Message


def general_prompts() -> list[Demonstration]:
    """The bundled general prompts as rows without a demonstration."""
    lines = material_path("general.jsonl").read_text("utf-8").splitlines()
    prompts = [json.loads(line) for line in lines]
    return [
        Demonstration(
            id=prompt["id"],
            row=number,
            messages=(Message(role="user", content=prompt["prompt"]),),
            demonstration="",
        )
        for number, prompt in enumerate(prompts, start=1)
    ]
