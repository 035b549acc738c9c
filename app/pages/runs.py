"""Runs: what is queued, learning and done, a line each."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.components.looks import Query
from app.components.shell import head, keep_live
from app.components.view import view
from backend.lab import Lab

MOST = 100


def page(blocks: gr.Blocks, lab: Lab) -> None:
    """The first page."""
    header = head("")
    listed = view("runs", "runs")
    keep_live(blocks, lab, "", header, [listed], lambda query: [_listing(lab, query)])


def _listing(lab: Lab, query: Query) -> dict[str, Any]:
    shown = lab.runs(MOST)
    losses = lab.views.losses([run["id"] for run in shown if run["kind"] == "train"])
    return {
        "runs": [_line(run, losses.get(run["id"], [])) for run in shown],
        "left_off": lab.views.count_runs() - len(shown),
        "home": str(lab.settings.home),
    }


def _line(run: dict[str, Any], losses: list[float | None]) -> dict[str, Any]:
    line = {key: run[key] for key in ("id", "name", "kind", "state", "method", "task", "progress")}
    task = f"task:{run['task']}"
    scores = {"task": _change(run, task), "prior": _change(run, "prior:facts")}
    return {
        **line,
        "scores": scores,
        "losses": losses,
        "error": (run["error"] or {}).get("message"),
    }


def _change(run: dict[str, Any], probe: str) -> dict[str, Any] | None:
    """A probe's newest score with its interval, and its change since step 0."""
    found = [each for each in run["evaluations"] if each["probe"] == probe]
    whole = [each for each in found if not each["subset"]]
    # Along the way only a subset is asked; scores are compared on the same items only.
    newest = max(found, key=lambda each: (each["step"], not each["subset"]), default=None)
    if newest is None:
        return None
    same = whole if not newest["subset"] else [each for each in found if each["subset"]]
    first = next((each["score"] for each in same if each["step"] == 0), None)
    change = newest["score"] - first if first is not None and newest["step"] else None
    return {key: newest[key] for key in ("score", "low", "high", "n")} | {"change": change}
