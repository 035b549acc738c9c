"""Checking and adding a file as the page shows it: how far it is, its end, and ending it early."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

import gradio as gr

from app.components.problems import no_problems, problems
from app.long_actions import LongActions, Progress, words
from app.pages.once import Once
from app.pages.task_source import hub_name
from app.pages.task_upload import FILE, Shown, Upload
from backend.errors import StateError
from backend.lab import Lab

# The name in the page's address under which its action is found.
KEY: Final = "work"
ENDED: Final = {
    "cancelled": "Cancelled: nothing was stored.",
    "failed": "This failed for a reason of the lab's own, which stands in the server's log. "
    "Nothing was stored.",
}
GONE: Final = (
    "What this page was doing is gone with the server that did it. If the list does not show the "
    "task, choose the file again."
)

Act = Callable[[Lab, Upload, Progress], Shown]


def begin(
    lab: Lab, actions: LongActions, once: Once, act: Act, upload: Upload, request: gr.Request
) -> list[Any]:
    """Starts ``act`` in place of what the page was doing; values of problems and work view."""
    before = str(dict(request.query_params).get(KEY, ""))
    name = str(upload.file or "").replace("\\", "/").rpartition("/")[2] or hub_name(upload.hub)
    title = name[:80] or "the form"
    wish = hashlib.sha256(repr((act.__name__, request.session_hash, upload)).encode()).hexdigest()

    def start() -> str:
        actions.cancel(before)
        return actions.start(title, lambda progress: act(lab, upload, progress))

    try:
        return [no_problems(), {"begun": once(wish, start)}]
    except StateError as error:
        return [problems({FILE: f"{error.message}; {error.remedy}"}), gr.skip()]


def cancel(actions: LongActions, request: gr.Request) -> dict[str, Any]:
    """Asks the page's action to end; the view then looks again."""
    key = str(dict(request.query_params).get(KEY, ""))
    actions.cancel(key)
    return {"begun": key}


def shown(actions: LongActions, key: str) -> list[Any]:
    """Values of problems, work and report view, and of the button that cancels."""
    action = actions.find(key)
    told, report = no_problems(), {"none": True}
    work: dict[str, Any] = {"key": key, "state": action.state if action else "", "words": ""}
    if action is None:
        work["words"] = GONE if key else ""
    elif action.is_open:
        work |= {"is_open": True, "words": words(action), "done": action.done}
        work["total"] = action.total
    elif action.state == "done":
        told, report = action.answer[0], action.answer[1] or report
        work |= {"go": told.get("go"), "look": told.get("look")}
    else:
        work["words"] = ENDED[action.state]
    can_cancel = bool(action and action.state == "working" and action.is_open)
    # Without an action, what was found in a chosen file stays beside it.
    found = {"problems": {}, **told, "go": None, "of": key} if key else gr.skip()
    return [found, work, {**report, "of": key}, gr.update(visible=can_cancel)]
