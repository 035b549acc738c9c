"""Traces: what student and teacher read, and what they thought of every token of a rollout."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import gradio as gr

from app.components.looks import Query
from app.components.shell import head, keep_live
from app.components.view import view
from backend.errors import ConfigError, SdlabError
from backend.lab import Lab

_REMEMBERED: Final = 16
_STEP_DIGITS: Final = 9
_LONGEST: Final = 200


def page(blocks: gr.Blocks, lab: Lab) -> None:
    """The page; ``task``, ``run``, ``step``, ``trace``, ``sort``, ``show``, ``find`` and ``color``
    make its address.
    """
    header = head("traces")
    index = view("traces", "trace-index")
    tokens = view("tokens", "trace-tokens")

    # A trace never changes but for a resume that makes it anew, which ``seen`` would tell.
    @lru_cache(maxsize=_REMEMBERED)
    def tokens_of(trace: str, seen: str) -> dict[str, Any]:
        del seen
        return lab.views.trace_tokens(trace)

    def read(query: Query) -> list[Any]:
        listed = _index(lab, query)
        chosen = [line for line in listed.get("traces", []) if line["id"] == listed["chosen"]]
        if not chosen:
            return [listed, {"empty": listed.get("nothing", "")}]
        try:
            return [listed, tokens_of(chosen[0]["id"], repr(chosen[0]))]
        except SdlabError as error:
            return [listed, {"empty": str(error)}]

    keep_live(blocks, lab, "traces", header, [index, tokens], read)


def _index(lab: Lab, query: Query) -> dict[str, Any]:
    runs = lab.views.traced_runs()
    tasks = sorted({run["task"] for run in runs})
    task = query.get("task", "")
    runs = [run for run in runs if task in ("", run["task"])]
    choice = {"runs": runs, "tasks": tasks, "task": task}
    if not query.get("run"):
        return choice
    try:
        listed = lab.views.trace_index(
            query["run"],
            _step(query.get("step", "")),
            query.get("trace") or None,
            query.get("sort") or "divergence",
            query.get("show") or "all",
            query.get("find", "")[:_LONGEST],
        )
    except SdlabError as error:
        return {**choice, "missing": str(error)}
    kind = "" if listed["show"] == "all" else f"{listed['show']} "
    of = f' with "{listed["find"]}"' if listed["find"] else ""
    nothing = "" if listed["traces"] else f"No {kind}traces{of} at this step."
    return {**choice, **listed, "nothing": nothing}


def _step(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _STEP_DIGITS):
        raise ConfigError(f'"{text}" is no step', where="step", remedy="choose one of the slider's")
    return int(text)
