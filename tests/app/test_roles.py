"""Which role an event or a route needs; tests/e2e/test_access.py forges events on a live server."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from app.access.roles import for_role, refusal, role_for_event, role_for_route
from backend.users import Person, Role


def event(call: Any = print, *, queue: bool | None = None) -> Any:
    """An event as Gradio holds it; without a word on the queue, it goes through it."""
    return SimpleNamespace(fn=call, queue=queue)


def test_an_event_acts_unless_it_is_outside_the_queue() -> None:
    assert role_for_event(event()) == "trainer"
    assert role_for_event(event(queue=True)) == "trainer"
    assert role_for_event(event(queue=False)) == "viewer"


def test_an_event_can_be_kept_for_administrators() -> None:
    @for_role("admin")
    def clear() -> None: ...

    assert role_for_event(event(clear, queue=False)) == "admin"
    assert "this needs an admin" in refusal(Person("ada", "trainer"), "admin")


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("GET", "/gradio_api/upload", "viewer"),
        ("POST", "/login", "viewer"),
        ("POST", "/gradio_api/queue/join", "viewer"),
        ("POST", "/gradio_api/run/predict", "viewer"),
        ("POST", "/gradio_api/upload", "trainer"),
        ("POST", "/gradio_api/component_server", "trainer"),
        ("PUT", "/anything", "trainer"),
        ("DELETE", "/lab/run", "trainer"),
    ],
)
def test_a_route_that_writes_is_a_trainers(method: str, path: str, role: Role) -> None:
    assert role_for_route(method, path) == role
