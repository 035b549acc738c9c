"""Run: one job as it works, what it measured, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import gradio as gr

from app.components.looks import Query
from app.components.shell import head, keep_live
from app.components.view import QUIET, view
from app.plots import chart, metric_figure, no_chart, score_figure
from backend.config import RunConfig
from backend.documents import as_yaml, validate
from backend.errors import SdlabError
from backend.lab import Lab

_AT_WORK: Final = ("starting", "running", "cancelling")
_CAN_STOP: Final = ("queued", "starting", "running")
_CAN_RESUME: Final = ("cancelled", "failed", "lost")
_SUMMARY: Final = ("id", "name", "kind", "state", "method", "error", "attempt", "progress")
_COMMANDS: Final = {"train": "sdlab train run.yaml --wait, with this in run.yaml:"}
_CURVES: Final = {
    "loss": "loss, nats",
    "kl_to_base": "KL to base, nats",
    "entropy": "entropy, nats",
    "completion_tokens": "length, tokens",
}


def page(blocks: gr.Blocks, lab: Lab) -> None:
    """The page of one run, named by ``id`` in the address."""
    header = head("")
    summary = view("run", "run-summary")
    with gr.Row(elem_id="run-actions"):
        stop = gr.Button("Stop", elem_id="stop", size="sm", visible=False)
        resume = gr.Button("Resume", elem_id="resume", size="sm", visible=False)
    with gr.Row(elem_id="run-charts"):
        scores = view("chart", "run-scores", min_width=360)
        metrics = view("chart", "run-metrics", min_width=360)
    details = view("details", "run-details")
    keep_live(
        blocks,
        lab,
        "run",
        header,
        [summary, stop, resume, scores, metrics, details],
        lambda query: _contents(lab, query),
    )

    def stop_run(request: gr.Request) -> None:
        _act(lab.stop, request)

    def resume_run(request: gr.Request) -> None:
        _act(lab.resume, request)

    stop.click(stop_run, **QUIET)
    resume.click(resume_run, **QUIET)


def _contents(lab: Lab, query: Query) -> list[Any]:
    try:
        run = lab.run(query.get("id", ""))
    except SdlabError as error:
        missing = {"missing": str(error)}
        hidden = gr.update(visible=False)
        return [missing, hidden, hidden, no_chart(""), no_chart(""), missing]
    active = run["state"] in _AT_WORK
    alarms = [e["message"] for e in run["events"] if e["level"] in ("warning", "error")]
    files = [a for a in run["artifacts"] if a["kind"] == "adapter"]
    summary = {
        "run": {key: run[key] for key in _SUMMARY},
        "active": active,
        "adapter": files[-1] if files else None,
        "alarms": alarms,
        "group": lab.views.group(run["group"]) if run["group"] else [run["id"]],
        "premise": _premise(lab, run),
        "overruled": run["result"].get("overruled"),
        **lab.views.worker(run["id"]),
    }
    details = {
        "run": {key: run[key] for key in ("evaluations", "checkpoints", "events")},
        **_log(lab, run["id"], query.get("log_find", ""), query.get("log_level", "")),
        "yaml": as_yaml(run["config"]),
        "command": _COMMANDS.get(run["kind"], ""),
    }
    return [
        summary,
        gr.update(visible=run["state"] in _CAN_STOP),
        gr.update(visible=run["state"] in _CAN_RESUME),
        _scores(run),
        _metrics(lab.views.metrics(run["id"], list(_CURVES))),
        details,
    ]


def _premise(lab: Lab, run: dict[str, Any]) -> str:
    """What this run, or else another job, measured of its premise; empty where it rests on none."""
    own = run["result"].get("premise", {}).get("sentence")
    if own or run["kind"] != "train":
        return f"Premise {own}." if own else ""
    try:
        words = lab.premise_words(validate(RunConfig, run["config"], run["id"]))
    except SdlabError:  # its task is gone
        return ""
    return words and f"{words[0].upper()}{words[1:]}."


def _log(lab: Lab, run: str, find: str, level: str) -> dict[str, str]:
    searched = {"find": find, "level": level}
    try:
        return searched | {"log": lab.views.log(run, find=find, level=level)}
    except SdlabError as error:
        return searched | {"log": str(error)}


def _scores(run: dict[str, Any]) -> dict[str, Any]:
    """The task's and the prior probe's scores over the run, on the items asked along the way."""
    probes = {"task": f"task:{run['task']}", "prior facts": "prior:facts"}
    curves = {}
    for name, probe in probes.items():
        found = [each for each in run["evaluations"] if each["probe"] == probe]
        along = [each for each in found if each["subset"]]
        points = along if len(along) > 1 else [each for each in found if not each["subset"]]
        if points:
            curves[name] = sorted(points, key=lambda each: int(each["step"]))
    if not curves:
        return no_chart("No scores yet: the first come before the first step.")
    label = "Scores over steps: " + "; ".join(
        f"{name} from {points[0]['score']:.0%} to {points[-1]['score']:.0%}"
        for name, points in curves.items()
    )
    return chart("Task and prior knowledge", label, score_figure(curves))


def _metrics(curves: dict[str, list[list[float | None]]]) -> dict[str, Any]:
    shown = {title: curves[key] for key, title in _CURVES.items() if curves.get(key)}
    if not shown:
        return no_chart("No curves yet: they begin with the first step.")
    label = f"{', '.join(shown)} over steps"
    return chart("Loss, KL to base, entropy, length", label, metric_figure(shown))


def _act(verb: Callable[[str], Any], request: gr.Request) -> None:
    """Stops or resumes the run in the address; the page shows the rest at its next look."""
    try:
        verb(str(dict(request.query_params).get("id", "")))
    except SdlabError as error:
        raise gr.Error(str(error), title="Not done", print_exception=False) from error
