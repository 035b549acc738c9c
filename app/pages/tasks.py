"""Tasks: what the lab holds, one version opened with its rows and prompts, and the upload form."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import gradio as gr
from gradio.utils import get_upload_folder

from app.components.problems import problems_view
from app.components.shell import head, keep_live
from app.components.view import Query, live, view
from app.pages.task_upload import COLUMNS, FILE, HELD_OUT, NAME, SCORER, Upload, add, check
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
    """The page; ``task``, ``version``, ``row``, ``context`` and ``model`` stand in the address."""
    header = head("tasks")
    listed = view("tasks", "task-list")
    opened = view("task", "task-open")
    rows = view("rows", "task-rows")
    _upload_form(blocks, lab)
    keep_live(blocks, lab, "tasks", header, [listed], lambda query: [_listing(lab, query)])
    # Not on a timer: what is read here would be drawn anew under the reader's eyes.
    live(blocks, [opened, rows], lambda query: _opened(lab, query), every_s=None)


def _upload_form(blocks: gr.Blocks, lab: Lab) -> None:
    with gr.Column(elem_id="task-form"):
        view("task-form-head", "task-form-head", {"shown": True})
        with gr.Row(equal_height=False):
            with gr.Column(min_width=280):
                file = gr.File(label="File", file_count="single", height=140, elem_id=FILE)
                sample = gr.Button("Load the sample file", size="sm", elem_id="task-sample")
            with gr.Column(min_width=280):
                name = gr.Textbox(
                    label="Name",
                    placeholder="home-commands",
                    info="Letters, digits, dots, dashes. A name that exists gets a new version.",
                    elem_id=NAME,
                    max_length=80,
                )
                columns = gr.Textbox(
                    label="Columns (only where they are not found by themselves)",
                    placeholder="prompt=question, demonstration=answer",
                    elem_id=COLUMNS,
                    max_length=2000,
                )
            with gr.Column(min_width=280):
                scorer = gr.Dropdown(
                    lab.views.scorers(),
                    value="exact",
                    label="Scorer",
                    info="How an answer is judged: the exact text, normalised, or all parts in it.",
                    elem_id=SCORER,
                )
                held_out = gr.Textbox(
                    "0.2",
                    label="Held out",
                    info="A share (0.2) or a number of rows (40): never trained on, only scored.",
                    elem_id=HELD_OUT,
                    max_length=40,
                )
        keep_good = gr.Checkbox(
            label="Leave faulty rows out, keep the rest", elem_id="task-keep-good"
        )
        with gr.Row(elem_id="task-actions"):
            checked = gr.Button("Check", elem_id="task-check")
            added = gr.Button("Add task", variant="primary", elem_id="task-add")
        told = problems_view("task-problems")
        report = view("report", "task-report")
        guide = view("guide", "task-guide")
    fields = [file, name, columns, scorer, held_out, keep_good]
    settings: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}

    def on_check(*values: Any) -> Any:
        return check(lab, Upload(*values))

    def on_add(*values: Any) -> Any:
        return add(lab, Upload(*values))

    checked.click(on_check, fields, [told, report], **settings)
    added.click(on_add, fields, [told, report], **settings)
    sample.click(lambda: _sample_path(lab), None, file, **settings)
    blocks.load(lambda: _guide(lab), None, guide, queue=False, api_visibility="private")


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
