"""The upload form of the Tasks page: its events, and what it shows beside its fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import gradio as gr
from gradio.utils import get_upload_folder

from app.access.roles import for_role
from app.components.problems import problems_view
from app.components.view import QUIET, view
from app.long_actions import LongActions
from app.pages.once import Once
from app.pages.task_columns import chosen_columns
from app.pages.task_fields import Fields, task_fields
from app.pages.task_held_out import FILE, GROUP, NUMBER, SHARE, TAG
from app.pages.task_upload import Upload, add, check, fetch, look
from app.pages.task_working import begin, cancel
from backend.lab import Lab

_HELD_OUT_COUNTS: Final = (10, 30, 100, 300, 1000)
_SAMPLE_NAME: Final = "sample.jsonl"
_LONGEST_NAME: Final = 200
_AMOUNTS: Final = {SHARE: "0.2", NUMBER: "40"}


def upload_form(blocks: gr.Blocks, lab: Lab, actions: LongActions) -> list[Any]:
    """Builds the form; what of it shows how far an action is, as :func:`shown` fills it."""
    with gr.Column(elem_id="task-form"):
        view("task-form-head", "task-form-head", {"shown": True})
        fields = task_fields(lab.views.scorers())
        with gr.Row(elem_id="task-actions"):
            checked = gr.Button("Check", elem_id="task-check")
            added = gr.Button("Add task", variant="primary", elem_id="task-add")
            stop = gr.Button("Cancel", visible=False, elem_id="task-cancel")
        work = view("work", "task-work")
        told = problems_view("task-problems")
        report = view("report", "task-report")
        guide = view("guide", "task-guide")

    once = Once()

    @for_role("viewer")
    def on_open() -> Any:
        return _guide(lab)

    def on_check(request: gr.Request, *values: Any) -> Any:
        return begin(lab, actions, once, check, Upload(*values), request)

    def on_add(request: gr.Request, *values: Any) -> Any:
        return begin(lab, actions, once, add, Upload(*values), request)

    def on_fetch(request: gr.Request, *values: Any) -> Any:
        return begin(lab, actions, once, fetch, Upload(*values), request)

    def on_cancel(request: gr.Request) -> Any:
        return cancel(actions, request)

    checked.click(on_check, fields.values, [told, work], **QUIET)
    added.click(on_add, fields.values, [told, work], **QUIET)
    fields.fetch.click(on_fetch, fields.values, [told, work], **QUIET)
    stop.click(on_cancel, None, work, **QUIET)
    fields.sample.click(lambda: _sample_path(lab), None, fields.file, **QUIET)
    blocks.load(on_open, None, guide, **QUIET)
    _keep_looked_at(lab, fields, told, work, report)
    return [told, work, report, stop]


def _keep_looked_at(
    lab: Lab, fields: Fields, told: gr.HTML, work: gr.HTML, report: gr.HTML
) -> None:
    """Shows the first rows as they will be read, anew whenever what they are read by changes."""

    def on_file(*values: Any) -> Any:
        return [*_looked(lab, replace(Upload(*values), columns={})), {}, {"none": True}]

    def on_name(*values: Any) -> Any:
        # What was told of other fields stays beside them.
        return _looked(lab, Upload(*values))[1:]

    def on_columns(event: gr.EventData, *values: Any) -> Any:
        columns = chosen_columns(values[-1], event._data)
        return [*_looked(lab, replace(Upload(*values), columns=columns)), columns]

    def on_way(*values: Any) -> Any:
        return _needed(lab, Upload(*values))

    shown = [told, fields.preview, fields.needed[1]]
    fields.file.change(on_file, fields.values, [*shown, fields.columns, report], **QUIET)
    work.input(on_file, fields.values, [*shown, fields.columns, report], **QUIET)
    fields.name.blur(on_name, fields.values, shown[1:], **QUIET)
    fields.preview.input(on_columns, fields.values, [*shown, fields.columns], **QUIET)
    fields.by.input(on_way, fields.values, fields.needed, **QUIET)


def _looked(lab: Lab, upload: Upload) -> list[Any]:
    """Values of problems and preview, and the tags or groups that can be held out."""
    told, found = look(lab, upload)
    return [told, found, gr.update(choices=_names(found, upload.by))]


def _needed(lab: Lab, upload: Upload) -> list[Any]:
    """Shows the one field that this way to hold rows out needs."""
    by = upload.by
    choices = _names(look(lab, upload)[1], by) if by in (TAG, GROUP) else []
    return [
        gr.update(visible=by in _AMOUNTS, value=_AMOUNTS.get(by, "")),
        gr.update(visible=by in (TAG, GROUP), choices=choices, value=[]),
        gr.update(visible=by == FILE),
    ]


def _names(found: Mapping[str, Any] | None, by: Any) -> list[tuple[str, str]]:
    """The tags or groups of the first rows, each with how many have it."""
    counted = (found or {}).get({TAG: "tags", GROUP: "groups"}.get(by, ""), [])
    return [(f"{name} ({n})", name) for name, n in counted if 0 < len(name) <= _LONGEST_NAME]


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
