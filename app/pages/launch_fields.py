"""The launch form's fields, each with the elem_id that its mistakes go by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.components.view import view
from app.pages.launch_form import ANYWAY, BASELINE, SETTINGS
from app.pages.launch_start import DEFAULT_METHOD
from backend.methods import PRESETS


@dataclass(frozen=True)
class Fields:
    """The components: ``form`` in the order of launch_form.FIELDS, settings, baseline, anyway."""

    form: list[Any]
    preset: gr.Dropdown
    anyway: gr.Checkbox
    # The preset that the other fields were made for.
    previous: gr.State

    @property
    def filled(self) -> list[Any]:
        """What the address fills: all but the word that overrules a warning."""
        return self.form[:-1]

    @property
    def switched(self) -> list[Any]:
        """What another preset fills: all after task, model and preset, but no checkbox."""
        return self.form[3:-2]


def launch_fields() -> Fields:
    """Builds the fields into the block that is open; ``anyway`` is for the page to render."""
    task = gr.Dropdown([], label="Task", allow_custom_value=True, elem_id="launch-task")
    model = gr.Dropdown(
        [],
        label="Model",
        info="A bundled model, a folder on this machine, or the id of a model on the hub.",
        allow_custom_value=True,
        elem_id="launch-model",
    )
    preset = gr.Dropdown(
        [(f"{name}: {preset.summary}", name) for name, preset in PRESETS.items()],
        value=DEFAULT_METHOD,
        label="Method",
        elem_id="launch-preset",
    )
    with gr.Row():
        steps = _number("Steps", "launch-steps")
        batch = _number("Batch size (prompts a step)", "launch-batch-size")
        rate = _number("Learning rate", "launch-learning-rate")
    with gr.Row():
        length = gr.Textbox(
            label="Longest answer (tokens)", elem_id="launch-max-new-tokens", min_width=150,
            max_length=60,
        )  # fmt: skip
        every = _number("Evaluate every (steps; 0: not)", "launch-evaluate-every")
        seed = _number("Seed", "launch-seed")
    name = gr.Textbox(
        label="Name of the run",
        placeholder="task and method",
        elem_id="launch-name",
        max_length=200,
    )
    # No accordion: it makes what it holds only as it opens, and loses what is typed meanwhile.
    with gr.Column(elem_id="launch-more", elem_classes=["sd-foldable"]):
        view("fold", "launch-fold", {"label": "All other settings"})
        devices = _number(
            "Devices (slots that the run takes at once, each with a share of the rows)",
            "launch-devices",
        )
        settings = gr.Textbox(
            label="Settings (YAML)",
            lines=18,
            max_lines=40,
            elem_id=SETTINGS,
            max_length=8_000,
            html_attributes=gr.InputHTMLAttributes(spellcheck=False, autocapitalize="off"),
        )
    baseline = gr.Checkbox(
        label="With matched SFT baseline",
        info="Supervised fine-tuning on the same rows, order, steps and seed, to compare with.",
        elem_id=BASELINE,
    )
    # Stands by the button that it is about; there is none while nothing is to be overruled.
    anyway = gr.Checkbox(label="Launch anyway", visible="hidden", elem_id=ANYWAY, render=False)
    form = [task, model, preset, name, steps, batch, rate, length, every, seed, devices]
    return Fields([*form, settings, baseline, anyway], preset, anyway, gr.State(DEFAULT_METHOD))


def _number(label: str, elem_id: str) -> gr.Number:
    return gr.Number(label=label, elem_id=elem_id, min_width=150)
