"""The upload form of the Tasks page: its events, and what it shows beside its fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import gradio as gr
from gradio.utils import get_upload_folder

from app.access.roles import for_role
from app.components.problems import problems_view
from app.components.view import QUIET, view
from app.long_actions import LongActions
from app.pages.once import Once
from app.pages.task_fields import task_fields
from app.pages.task_upload import Upload, add, check
from app.pages.task_working import begin, cancel
from backend.lab import Lab

_HELD_OUT_COUNTS: Final = (10, 30, 100, 300, 1000)
_SAMPLE_NAME: Final = "sample.jsonl"


def upload_form(blocks: gr.Blocks, lab: Lab, actions: LongActions) -> list[Any]:
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
