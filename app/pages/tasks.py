"""Tasks: what the lab holds, one version opened, a task written by hand, and the upload form."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.components.looks import Query
from app.components.shell import head, keep_live
from app.components.view import live, view
from app.long_actions import LongActions
from app.pages.task_doing import Doings
from app.pages.task_editing import EditedViews, editing
from app.pages.task_form import upload_form
from app.pages.task_opened import leaks, opened, opened_views
from app.pages.task_working import KEY, shown
from backend.lab import Lab


def page(blocks: gr.Blocks, lab: Lab) -> None:
    """The page; ``task``, ``version`` and ``show`` stand in the address.

    So do ``part``, ``find``, ``sort``, ``page`` and ``row`` of the rows, ``context``, ``model`` and
    ``new_tokens`` of prompts and lengths, ``against`` of the changes, ``saving``, and ``work``,
    what the form is doing.
    """
    header = head("tasks")
    listed = view("tasks", "task-list")
    views = opened_views()
    searched = view("leaks", "task-leaks")
    written = view("write", "task-write", {"scorers": lab.views.scorers()})
    actions, doings = LongActions(), Doings()
    working = upload_form(blocks, lab, actions)
    editing(lab, doings, EditedViews(views.rows, views.changes, searched, written))
    keep_live(
        blocks,
        lab,
        "tasks",
        header,
        [listed, searched, *working],
        lambda query: [
            _listing(lab, query),
            leaks(lab, query),
            *shown(actions, query.get(KEY, "")),
        ],
    )
    # Not on a timer: what is read here would be drawn anew under the reader's eyes.
    live(blocks, list(views), lambda query: opened(lab, query, doings), every_s=None)


def _listing(lab: Lab, query: Query) -> dict[str, Any]:
    return {"tasks": lab.views.tasks(), "home": str(lab.settings.home), "task": query.get("task")}
