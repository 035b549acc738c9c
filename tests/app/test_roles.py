"""Which role an event or a route needs; tests/e2e/test_access.py forges events on a live server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.access.roles import for_role, refusal, role_for_event, role_for_route
from backend.users import Person, Role


def event(call: Any, queue: bool | None = None) -> Any:
    """An event as Gradio holds it."""
    return SimpleNamespace(fn=call, queue=queue)


VIEWERS_CALLS = """
import sys
from pathlib import Path
from app.access.roles import role_for_event
from app.pages import build_pages
from backend.bootstrap import build_lab
from backend.jobs.launchers import LAUNCHERS
from backend.settings import Settings

pages = build_pages(build_lab(Settings(home=Path(sys.argv[1])), LAUNCHERS["inline"]))
for event in pages.fns.values():
    if role_for_event(event) == "viewer":
        print(event.fn.__module__ + "." + event.fn.__qualname__)
"""


@pytest.mark.parametrize("queue", [None, True, False])
def test_an_event_that_nobody_marked_is_a_trainers(queue: bool | None) -> None:
    assert role_for_event(event(print, queue)) == "trainer"
    assert role_for_event(event(lambda: None, queue)) == "trainer"


def test_what_a_viewer_may_call_only_reads(tmp_path: Path) -> None:
    """Whoever marks an event as a viewer's writes it down here too."""
    # Gradio leaves event loops open behind it.
    told = subprocess.run(
        [sys.executable, "-c", VIEWERS_CALLS, tmp_path], capture_output=True, text=True, check=True
    )
    assert set(told.stdout.split()) == {
        "app.components.view.live.<locals>.filler.<locals>.fill",
        "app.pages.launch._Events.fill",
        "app.pages.launch._Events.plan",
        "app.pages.launch._Events.switch",
        # A button that is off while it works; the guide to formats.
        "app.pages.launch._pressable.<locals>.press",
        # Ends a list that is being made, which stores nothing.
        "app.pages.task_editing.editing.<locals>.on_clear",
        "app.pages.task_form.upload_form.<locals>.on_open",
    }


def test_an_event_can_be_kept_for_administrators() -> None:
    @for_role("admin")
    def clear() -> None: ...

    assert role_for_event(event(clear)) == "admin"
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
