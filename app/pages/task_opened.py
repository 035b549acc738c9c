"""A version of a task as its page shows it: rows, lengths, changes, near-duplicates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import gradio as gr

from app.components.looks import Query
from app.components.view import view
from app.length_plots import length_figure
from app.pages.task_doing import KEY, Doings
from app.plots import chart, no_chart
from backend.config import DEFAULT_MODEL
from backend.errors import SdlabError
from backend.lab import Lab, Watch, unwatched
from backend.text.contexts import DEMONSTRATION_FORMS

DEFAULT_CONTEXT: Final = "earlier-turn-twice"
NEW_TOKENS: Final = 64
# A run brings its own template: there is none to show here.
_FORMS: Final = DEMONSTRATION_FORMS
_SECTIONS: Final = ("rows", "lengths", "changes", "leaks")
_NOTHING: Final[dict[str, Any]] = {"none": True}
_LONGEST: Final = 200


class OpenedViews(NamedTuple):
    """The views of an opened version that only its reader changes."""

    task: gr.HTML
    rows: gr.HTML
    lengths: gr.HTML
    chart: gr.HTML
    changes: gr.HTML


def link_to(made: Mapping[str, Any], added: str) -> str:
    """The address of a version that was just made; ``added`` says how."""
    return f"tasks?task={made['name']}&version={made['version']}&added={added}"


def opened_views() -> OpenedViews:
    """Builds the views into the block that is open."""
    return OpenedViews(
        task=view("task", "task-open"),
        rows=view("rows", "task-rows"),
        lengths=view("lengths", "task-lengths"),
        chart=view("chart", "task-lengths-chart"),
        changes=view("task-changes", "task-changes"),
    )


def opened(lab: Lab, query: Query, doings: Doings) -> list[Any]:
    """Values of :class:`OpenedViews`; all empty while no task is named."""
    name, version = query.get("task", ""), query.get("version", "")
    nothing = [_NOTHING, _NOTHING, no_chart(""), _NOTHING]
    if not name:
        return [_NOTHING, *nothing]
    try:
        task = lab.views.task(name, version)
        task |= {"added": query.get("added", ""), "show": _section(query)}
        values = _section_values(lab, query, task, doings)
    except SdlabError as error:
        return [{"missing": str(error)}, *nothing]
    return [task, *values]


def leaks(lab: Lab, query: Query) -> dict[str, Any]:
    """Value of the view of near-duplicates, which a search under way changes by itself."""
    name, version = query.get("task", ""), query.get("version", "")
    if not name or _section(query) != "leaks":
        return _NOTHING
    try:
        return lab.views.task_leaks(name, version)
    except SdlabError:
        # The view of the version says so.
        return _NOTHING


def _section(query: Query) -> str:
    wanted = query.get("show", "")
    return wanted if wanted in _SECTIONS else _SECTIONS[0]


def _section_values(lab: Lab, query: Query, task: dict[str, Any], doings: Doings) -> list[Any]:
    """Values of rows, lengths, chart and changes, of which one section's are filled."""
    name, version = task["name"], str(task["version"])
    rows, lengths, figure, changes = _NOTHING, _NOTHING, no_chart(""), _NOTHING
    if task["show"] == "rows":
        rows = {**_rows(lab, query, task, doings), "saving": doings.saving(query.get(KEY, ""))}
    elif task["show"] == "lengths":
        lengths, figure = _lengths(lab, query, name, version)
    elif task["show"] == "changes":
        changes = _changes(lab, query, task, doings)
    return [rows, lengths, figure, changes]


def _rows(lab: Lab, query: Query, task: dict[str, Any], doings: Doings) -> dict[str, Any]:
    name, version, part = task["name"], str(task["version"]), query.get("part", "")
    sort, find = query.get("sort") or "row", query.get("find", "")[:_LONGEST]
    told = {"task": name, "scorers": lab.views.scorers()}

    def listed(watch: Watch = unwatched) -> dict[str, Any]:
        page = _number(query.get("page", ""))
        return lab.views.task_rows(name, version, part, page, sort=sort, find=find, watch=watch)

    if find.strip() or sort != "row":
        wish = ("rows", task["id"], part, sort, find)
        waiting = doings.look(wish, f"{name}@{version}", lambda watch: bool(listed(watch)))[1]
        if waiting:
            page = lab.views.task_rows(name, version, part)
            return {**page, **told, "rows": [], "sort": sort, "find": find, "reading": waiting}
    return {**listed(), **told, "opened": _prompts(lab, query, name, version)}


def _prompts(lab: Lab, query: Query, name: str, version: str) -> dict[str, Any] | None:
    """The row in the address as both roles read it, or what is wrong with the address."""
    if not query.get("row"):
        return None
    choice = {"place": _number(query["row"]), **_reader(query)}
    offered = _offered(lab)
    try:
        fields = lab.views.task_row(name, version, choice["place"])
    except SdlabError as error:
        return {**choice, **offered, "problem": str(error)}
    try:
        document = lab.views.prompts(name, version, **choice)
    except SdlabError as error:
        return {**choice, **offered, "fields": fields, "problem": str(error)}
    return {**document, **offered, "fields": fields}


def _lengths(
    lab: Lab, query: Query, name: str, version: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    reader = {**_reader(query), "new_tokens": _number(query.get("new_tokens", "")) or NEW_TOKENS}
    offered = {**_offered(lab), "task": name, "version": version}
    try:
        found = lab.views.task_lengths(name, version, **reader)
    except SdlabError as error:
        return {**reader, **offered, "problem": str(error)}, no_chart("")
    if "unread" in found:
        return {**found, **offered}, no_chart("")
    lengths, limit = found.pop("lengths"), found["limit"]
    limits = {"what the model reads": limit} if limit else {}
    if limit and limit > found["new_tokens"]:
        limits |= {f"room for {found['new_tokens']:,} new tokens": limit - found["new_tokens"]}
    label = "; ".join(
        f"{role}: up to {max(values):,} tokens" for role, values in lengths.items() if values
    )
    figure = length_figure(lengths, limits)
    return {**found, **offered}, chart("Lengths in tokens", f"Rows by length. {label}", figure)


def _changes(lab: Lab, query: Query, task: dict[str, Any], doings: Doings) -> dict[str, Any]:
    """What made this version another than that in the address, or than its origin."""
    times = {version["version"]: version["created_at"] for version in task["versions"]}
    numbers, name = list(times), task["name"]
    value = {"task": name, "version": task["version"], "versions": numbers}
    before = _number(query.get("against", "")) or (task["origin"] or {}).get("edited_from")
    if before is None:
        others = [number for number in numbers if number != task["version"]]
        if not others:
            return value
        before = max((number for number in others if number < task["version"]), default=others[0])
    ours, theirs = (f"{name}@{number}" for number in (before, task["version"]))
    # A task that was deleted may come again under its name.
    wish = ("changes", ours, theirs, times.get(before), times[task["version"]])
    try:
        found, waiting = doings.look(
            wish, f"{ours} and {theirs}", lambda watch: lab.views.task_changes(ours, theirs, watch)
        )
    except SdlabError as error:
        return {**value, "against": before, "problem": str(error)}
    return {**value, "against": before, **({"reading": waiting} if waiting else {"found": found})}


def _reader(query: Query) -> dict[str, Any]:
    return {
        "context": query.get("context") or DEFAULT_CONTEXT,
        "model": query.get("model") or DEFAULT_MODEL,
    }


def _offered(lab: Lab) -> dict[str, Any]:
    return {"contexts": _FORMS, "models": lab.views.models()}


def _number(text: str) -> int:
    """A number of the address, 0 for anything else."""
    return int(text) if text.isdecimal() and len(text) < 10 else 0
