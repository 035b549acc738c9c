"""Tasks: what the lab holds, one version opened with its rows and prompts, and the upload form."""

from __future__ import annotations

from typing import Any, Final

import gradio as gr

from app.components.shell import head, keep_live
from app.components.view import Query, live, view
from app.long_actions import LongActions
from app.pages.task_form import upload_form
from app.pages.task_working import KEY, shown
from backend.config import DEFAULT_MODEL
from backend.errors import SdlabError
from backend.lab import Lab
from backend.text.contexts import DEMONSTRATION_FORMS

DEFAULT_CONTEXT: Final = "earlier-turn-twice"
# A run brings its own template: there is none to show here.
_FORMS: Final = DEMONSTRATION_FORMS


def page(blocks: gr.Blocks, lab: Lab) -> None:
    """The page; ``task``, ``version``, ``row``, ``context`` and ``model`` stand in the address.

    So does ``work``, what the form is doing.
    """
    header = head("tasks")
    listed = view("tasks", "task-list")
    opened = view("task", "task-open")
    rows = view("rows", "task-rows")
    actions = LongActions()
    working = upload_form(blocks, lab, actions)
    keep_live(
        blocks,
        lab,
        "tasks",
        header,
        [listed, *working],
        lambda query: [_listing(lab, query), *shown(actions, query.get(KEY, ""))],
    )
    # Not on a timer: what is read here would be drawn anew under the reader's eyes.
    live(blocks, [opened, rows], lambda query: _opened(lab, query), every_s=None)


def _listing(lab: Lab, query: Query) -> dict[str, Any]:
    return {"tasks": lab.views.tasks(), "home": str(lab.settings.home), "task": query.get("task")}


def _opened(lab: Lab, query: Query) -> list[Any]:
    """The opened version and its rows; both empty while no task is named."""
    name, version = query.get("task", ""), query.get("version", "")
    if not name:
        return [{"none": True}, {"none": True}]
    try:
        task = lab.views.task(name, version)
        rows = lab.views.task_rows(
            name, version, query.get("part", ""), _number(query.get("page", ""))
        )
    except SdlabError as error:
        return [{"missing": str(error)}, {"none": True}]
    task["added"] = query.get("added", "")
    return [task, {**rows, "task": task["name"], "opened": _prompts(lab, query)}]


def _prompts(lab: Lab, query: Query) -> dict[str, Any] | None:
    """The row in the address as both roles read it, or what is wrong with the address."""
    if not query.get("row"):
        return None
    choice: dict[str, Any] = {
        "place": _number(query["row"]),
        "context": query.get("context") or DEFAULT_CONTEXT,
        "model": query.get("model") or DEFAULT_MODEL,
    }
    offered = {"contexts": _FORMS, "models": lab.views.models()}
    try:
        document = lab.views.prompts(query["task"], query.get("version", ""), **choice)
    except SdlabError as error:
        return {**choice, **offered, "problem": str(error)}
    return {**document, **offered}


def _number(text: str) -> int:
    """A number of the address, 0 for anything else."""
    return int(text) if text.isdecimal() and len(text) < 10 else 0
