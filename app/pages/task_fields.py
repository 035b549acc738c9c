"""The upload form's fields, each with the elem_id that its mistakes go by."""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr

from app.components.view import view
from app.pages.task_held_out import AUTO, TOGETHER, WAYS
from app.pages.task_upload import COLUMNS, FILE, HELD_OUT, HUB, NAME, SCORER, SEED
from app.pages.task_upload import TOGETHER as TOGETHER_ID


class Fields(NamedTuple):
    """The fields in the order of Upload, and what else the form's events need of them."""

    values: list[Any]
    file: gr.File
    name: gr.Textbox
    by: gr.Dropdown
    # What only some ways to hold rows out need: an amount, names, a file.
    needed: list[Any]
    columns: gr.State
    preview: gr.HTML
    sample: gr.Button
    fetch: gr.Button


def task_fields(scorers: list[str]) -> Fields:
    """Builds the fields into the block that is open: the file, what is in it, how it is scored."""
    with gr.Row(equal_height=False):
        with gr.Column(min_width=280):
            file = gr.File(label="File", file_count="single", height=140, elem_id=FILE)
            sample = gr.Button("Load the sample file", size="sm", elem_id="task-sample")
        with gr.Column(min_width=280):
            hub = gr.Textbox(
                label="Or a dataset of the Hugging Face hub",
                placeholder="owner/name, or owner/name/file.parquet",
                info="Fetched to this machine to look at; needs a network.",
                elem_id=HUB,
                max_length=300,
            )
            fetch = gr.Button("Fetch", size="sm", elem_id="task-fetch")
        with gr.Column(min_width=280):
            name = gr.Textbox(
                label="Name",
                placeholder="home-commands",
                info="Letters, digits, dots, dashes. A name that exists gets a new version.",
                elem_id=NAME,
                max_length=80,
            )
    preview = view("preview", COLUMNS, {"none": True})
    with gr.Row(equal_height=False):
        with gr.Column(min_width=280):
            scorer = gr.Dropdown(
                scorers,
                value="exact",
                label="Scorer",
                info="How an answer is judged; parameters may follow, as in regex:PATTERN or "
                'json:{"ignore": ["id"]}.',
                allow_custom_value=True,
                elem_id=SCORER,
            )
        with gr.Column(min_width=280):
            by, needed = _held_out_fields()
        with gr.Column(min_width=280):
            together = gr.Dropdown(
                TOGETHER,
                value="group",
                label="Never parted",
                info="These stay on one side, so that nothing held out is learned.",
                elem_id=TOGETHER_ID,
            )
            seed = gr.Number(
                0,
                label="Seed",
                info="The same seed holds out the same rows.",
                precision=0,
                elem_id=SEED,
            )
    keep_good = gr.Checkbox(
        label="Leave faulty rows out, keep the good ones",
        info="The version records how many were left out.",
        elem_id="task-keep-good",
    )
    columns = gr.State(value={})
    values = [file, hub, name, scorer, by, *needed, together, seed, keep_good, columns]
    return Fields(values, file, name, by, needed, columns, preview, sample, fetch)


def _held_out_fields() -> tuple[gr.Dropdown, list[Any]]:
    """Which rows are held out, and the fields of which a way needs one at most."""
    with gr.Group(elem_id=HELD_OUT):
        by = gr.Dropdown(
            WAYS,
            value=AUTO,
            label="Held out",
            info="Never trained on, only scored.",
            elem_id="task-held-out-by",
        )
        amount = gr.Textbox(
            "0.2", label="How many", visible=False, elem_id="task-amount", max_length=40
        )
        names = gr.Dropdown(
            [],
            value=[],
            label="Which",
            multiselect=True,
            allow_custom_value=True,
            visible=False,
            elem_id="task-names",
        )
        apart = gr.File(
            label="Held-out file",
            file_count="single",
            height=120,
            visible=False,
            elem_id="task-apart",
        )
    return by, [amount, names, apart]
