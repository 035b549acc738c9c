"""The upload form's fields, each with the elem_id that its mistakes go by."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.pages.task_upload import COLUMNS, FILE, HELD_OUT, NAME, SCORER


def task_fields(scorers: list[str]) -> tuple[list[Any], gr.Button]:
    """Builds the fields into the block that is open, in the order of Upload; and the sample's."""
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
                scorers,
                value="exact",
                label="Scorer",
                info="How an answer is judged; parameters may follow, as in regex:PATTERN.",
                allow_custom_value=True,
                elem_id=SCORER,
            )
            held_out = gr.Textbox(
                "0.2",
                label="Held out",
                info="A share (0.2) or a number of rows (40): never trained on, only scored.",
                elem_id=HELD_OUT,
                max_length=40,
            )
    keep_good = gr.Checkbox(label="Leave faulty rows out, keep the rest", elem_id="task-keep-good")
    return [file, name, columns, scorer, held_out, keep_good], sample
