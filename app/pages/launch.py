"""Launch: task, model, preset and settings; what it will take; the premise; and off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from app.access.roles import for_role
from app.components.looks import Query
from app.components.problems import no_problems, problems, problems_view
from app.components.shell import head, keep_live
from app.components.view import QUIET, view
from app.pages.launch_fields import launch_fields
from app.pages.launch_form import ANYWAY, FIELDS, Form, field_values
from app.pages.launch_plan import configure, estimates, plan_document
from app.pages.launch_start import start, switch_preset
from app.pages.launching import check_premise, end_premise, launch, premise_of
from app.pages.once import Once
from backend.lab import Lab
from backend.methods import PRESETS


def page(blocks: gr.Blocks, lab: Lab) -> None:
    """The page; all that differs from a preset stands in the address."""
    header = head("launch")
    title = view("launch-head", "launch-head")
    address = problems_view("launch-address")
    with gr.Row(elem_id="launch-columns", equal_height=False):
        with gr.Column(scale=3, min_width=320):
            fields = launch_fields()
        with gr.Column(scale=2, min_width=320):
            plan = view("plan", "launch-plan")
            premise = view("premise", "launch-premise-result")
            check = gr.Button("Check the premise", size="sm", elem_id="launch-premise")
            end = gr.Button(
                "Cancel the check", size="sm", visible=False, elem_id="launch-premise-cancel"
            )
            fields.anyway.render()
            go = gr.Button("Launch", variant="primary", elem_id="launch-go")
            told = problems_view("launch-problems")
            command = view("command", "launch-command")
    events = _Events(lab, Once())
    shown = [told, plan, command, fields.anyway]
    keep_live(blocks, lab, "launch", header, [title, premise, check, end], events.live)
    blocks.load(events.fill, None, [address, *fields.filled, fields.previous], **QUIET)
    fields.preset.input(
        events.switch,
        [fields.previous, *fields.form],
        [*fields.switched, fields.previous],
        **QUIET,
    )
    # One event for all, so that the plan of an older form cannot come after that of a newer one.
    # The state changes when the form is filled, even where all fields already hold what it fills.
    gr.on(
        [each.change for each in (fields.previous, *fields.form)],
        events.plan,
        fields.form,
        shown,
        trigger_mode="always_last",
        **QUIET,
    )
    _on_click(go, events.launch, fields.form, [told, fields.anyway])
    _on_click(check, events.check_premise, fields.form, [told])
    _on_click(end, events.end_premise, [], [told])


def _on_click(
    button: gr.Button, act: Callable[..., Any], inputs: list[Any], told: list[Any]
) -> None:
    """Acts once a click: the button cannot be pressed while it works."""
    off = button.click(_pressable(False), None, button, **QUIET)
    done = off.then(act, inputs, told, **QUIET)
    done.then(_pressable(True), None, button, **QUIET)


def _pressable(can_be: bool) -> Callable[[], Any]:
    @for_role("viewer")
    def press() -> Any:
        return gr.update(interactive=can_be)

    return press


class _Events:
    """What the page's events do; each gets the form's values as they came."""

    def __init__(self, lab: Lab, once: Once) -> None:
        self._lab = lab
        self._once = once

    @for_role("viewer")
    def fill(self, request: gr.Request) -> list[Any]:
        """Fills the form from the address."""
        query = dict(request.query_params)
        config, problem = start(self._lab, query)
        tasks = [
            (f"{task['name']} @{task['version']}, {task['rows']['training']:,} rows", task["name"])
            for task in self._lab.views.tasks()
        ]
        task, model, *values = field_values(config)
        return [
            problems({"": problem}) if problem else no_problems(),
            gr.update(choices=tasks, value=task.strip() or None),
            gr.update(choices=self._lab.views.models(), value=model),
            *values,
            query.get("baseline") == "1",
            config.method,
        ]

    @for_role("viewer")
    def switch(self, previous: str, *values: Any) -> list[Any]:
        """Another preset: its own choices, and what else was changed."""
        form = _form(values)
        method = form.value("method")
        if method not in PRESETS:
            return [gr.skip()] * (len(FIELDS) - 1)
        configs, _ = configure(self._lab, form.replaced("method", previous))
        config = configs[0] if configs else start(self._lab, {})[0]
        _, _, _, *rest = field_values(switch_preset(config, method))
        return [*rest, method]

    @for_role("viewer")
    def plan(self, *values: Any) -> list[Any]:
        """What this launch would do, and the mistakes that are in its way."""
        form = _form(values)
        if not form.value("task") and not form.value("model"):
            # While the browser fills the form, these two come last: no mistake of anybody's.
            return [gr.skip()] * 4
        configs, mistakes = configure(self._lab, form)
        if mistakes:
            nothing = {"stale": True}
            return [problems(mistakes), nothing, nothing, gr.skip()]
        found, mistakes = estimates(self._lab, configs, forced=form.anyway)
        task = str(form.value("task"))
        document = plan_document(configs[0], task, baseline=form.baseline, found=found)
        asks = form.anyway or bool(mistakes) or premise_of(self._lab, configs[0])["is_no_go"]
        told = problems(mistakes) if mistakes else no_problems()
        return [told, document, document, gr.update(visible=True if asks else "hidden")]

    def launch(self, request: gr.Request, *values: Any) -> list[Any]:
        """Launches, or says why not; a warning that may be overruled brings the box for it."""
        told = launch(self._lab, self._once, _form(values), str(request.session_hash))
        asks = ANYWAY in told["problems"]
        return [told, gr.update(visible=True) if asks else gr.skip()]

    def check_premise(self, request: gr.Request, *values: Any) -> Any:
        """Queues the check; the page shows it at its next look."""
        return check_premise(self._lab, self._once, _form(values), str(request.session_hash))

    def end_premise(self, request: gr.Request) -> Any:
        """Ends the check that the page shows; the page says so at its next look."""
        config, _ = start(self._lab, dict(request.query_params))
        return end_premise(self._lab, config)

    def live(self, query: Query) -> list[Any]:
        """Title, premise and its two buttons, from the address."""
        has_tasks = bool(self._lab.views.task_names())
        head_value = {"has_tasks": has_tasks, "home": str(self._lab.settings.home)}
        premise = premise_of(self._lab, start(self._lab, query)[0])
        pending = premise["pending"]
        can_end = bool(pending) and pending["state"] != "cancelling"
        buttons = [gr.update(visible=not pending), gr.update(visible=can_end)]
        return [head_value, premise, *buttons]


def _form(values: Any) -> Form:
    *fields, settings, baseline, anyway = values
    return Form(tuple(fields), settings, baseline is True, anyway is True)
