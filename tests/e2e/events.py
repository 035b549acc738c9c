"""Gradio's events as a program would forge them, over plain HTTP."""

from __future__ import annotations

import json
import uuid
from typing import Any

import httpx


def events(client: httpx.Client) -> list[dict[str, Any]]:
    """All events of all pages, as Gradio describes them to a browser."""
    return list(client.get("config").json()["dependencies"])


def outcome(
    client: httpx.Client, dependency: dict[str, Any], data: list[Any] | None = None
) -> dict[str, Any]:
    """What an event that goes through the queue ends with."""
    session = uuid.uuid4().hex
    body = {
        "data": data or [None] * len(dependency["inputs"]),
        "fn_index": dependency["id"],
        "session_hash": session,
    }
    assert client.post("gradio_api/queue/join", json=body).status_code == 200
    with client.stream("GET", "gradio_api/queue/data", params={"session_hash": session}) as told:
        for line in told.iter_lines():
            message = json.loads(line.removeprefix("data: ")) if line else {}
            if message.get("msg") == "process_completed":
                return dict(message["output"])
    raise AssertionError("the event did not end")
