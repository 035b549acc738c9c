"""Tasks: what the lab holds, one version opened with its rows and prompts, and the upload form."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import gradio as gr
from gradio.utils import get_upload_folder

from app.access.roles import for_role
from app.components.problems import problems_view
from app.components.shell import head, keep_live
from app.components.view import QUIET, Query, live, view
from app.long_actions import LongActions
from app.pages.once import Once
from app.pages.task_fields import task_fields
from app.pages.task_upload import Upload, add, check
from app.pages.task_working import KEY, begin, cancel, shown
from backend.config import DEFAULT_MODEL
from backend.errors import SdlabError
from backend.lab import Lab
from backend.text.contexts import DEMONSTRATION_FORMS

DEFAULT_CONTEXT: Final = "earlier-turn-twice"
# A run brings its own template: there is none to show here.
_FORMS: Final = DEMONSTRATION_FORMS
_HELD_OUT_COUNTS: Final = (10, 30, 100, 300, 1000)
_SAMPLE_NAME: Final = "sample.jsonl"


def page(blocks: gr.Blocks, lab: Lab) -> None:
    """The page; ``task``, ``version``, ``row``, ``context`` and ``model`` stand in the address.

    So does ``work``, what the form is doing.
    """
    header = head("tasks")
    listed = view("tasks", "task-list")
    opened = view("task", "task-open")
    rows = view("rows", "task-rows")
    actions = LongActions()
    working = _upload_form(blocks, lab, actions)
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


def _upload_form(blocks: gr.Blocks, lab: Lab, actions: LongActions) -> list[Any]:
    """Builds the form; what of it shows how far an action is, as :func:`shown` fills it."""
    with gr.Column(elem_id="task-form"):
        view("task-form-head", "task-form-head", {"shown": True})
        fields, sample = task_fields(lab.views.scorers())
        with gr.Row(elem_id="task-actions"):
            checked = gr.Button("Check", elem_id="task-check")
            added = gr.Button("Add task", variant="primary", elem_id="task-add")
            stop = gr.Button("Cancel", visible=False, elem_id="task-cancel")
        work = view("work", "task-work")
        told = problems_view("task-problems")
        report = view("report", "task-report")
        guide = view("guide", "task-guide")

    once = Once()

    @for_role("trainer")
    def on_check(request: gr.Request, *values: Any) -> Any:
        return begin(lab, actions, once, check, Upload(*values), request)

    @for_role("trainer")
    def on_add(request: gr.Request, *values: Any) -> Any:
        return begin(lab, actions, once, add, Upload(*values), request)

    @for_role("trainer")
    def on_cancel(request: gr.Request) -> Any:
        return cancel(actions, request)

    checked.click(on_check, fields, [told, work], **QUIET)
    added.click(on_add, fields, [told, work], **QUIET)
    stop.click(on_cancel, None, work, **QUIET)
    sample.click(lambda: _sample_path(lab), None, fields[0], **QUIET)
    blocks.load(lambda: _guide(lab), None, guide, queue=False, api_visibility="private")
    return [told, work, report, stop]


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


def _guide(lab: Lab) -> dict[str, Any]:
    sample = lab.views.sample()
    return {
        "intervals": lab.views.intervals(_HELD_OUT_COUNTS),
        "sample": {"name": _SAMPLE_NAME, "text": sample, "rows": len(sample.splitlines())},
        "most_mib": lab.settings.max_upload_mib,
    }


def _sample_path(lab: Lab) -> str:
    """The sample as a file that Gradio may take over into its cache of uploads."""
    path = Path(get_upload_folder()) / "sdlab" / _SAMPLE_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(lab.views.sample(), "utf-8")
    return str(path)
