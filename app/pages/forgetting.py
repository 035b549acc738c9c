"""Forgetting: what runs gained on their task, and what became of all that they knew before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, Final

import gradio as gr

from app.components.looks import Query
from app.components.shell import head, keep_live
from app.components.view import view
from app.forgetting_charts import gain_chart, probe_charts
from app.forgetting_plots import Style, run_styles
from app.pages.sequence import KEY, sequence_reader
from app.plots import no_chart
from backend.errors import SdlabError
from backend.lab import Lab

MOST_RUNS: Final = 12
_REMEMBERED: Final = 8
_LISTED_GROUPS: Final = 30

Document = dict[str, Any]
# Ids of the runs that have styles, probes to show, and the prior probe; both charts.
Charts = Callable[[tuple[str, ...], tuple[str, ...], str], tuple[Document, Document]]


def page(blocks: gr.Blocks, lab: Lab) -> None:
    """The page; ``runs`` (ids), ``probes``, ``prior`` and ``task`` make its address.

    Or ``sequence`` does: then it shows that one alone.
    """
    header = head("forgetting")
    view("forgetting-head", "forget-head", {"shown": True})
    sequence = view("sequence", "forget-sequence")
    choice = view("forgetting", "forget-choice")
    with gr.Row(elem_id="forget-first"):
        gain = view("chart", "forget-gain", min_width=320)
        words = view("findings", "forget-words", min_width=320)
    scores = view("charts", "forget-scores")
    table = view("changes", "forget-table")
    items = view("forgotten", "forget-items")

    # Pairing hundreds of items takes a moment; it is done anew only when there are new scores.
    @lru_cache(maxsize=_REMEMBERED)
    def found(runs: tuple[str, ...], version: str) -> Document:
        del version
        return _find(lab, runs)

    # Twelve runs' figures take plotly longer than all else together.
    @lru_cache(maxsize=_REMEMBERED)
    def charts(
        runs: tuple[str, ...],
        version: str,
        styled: tuple[str, ...],
        shown: tuple[str, ...],
        prior: str,
    ) -> tuple[Document, Document]:
        return _charts(found(runs, version), styled, shown, prior)

    def read_runs(query: Query) -> list[Any]:
        scored = lab.views.scored_runs()
        chosen, missing = _chosen(scored, query)
        if not chosen:
            return _nothing({"empty": True, "missing": missing})
        version = lab.views.scores_version(chosen)
        draw = partial(charts, chosen, version)
        return _values(scored, found(chosen, version), query, missing, draw)

    read_sequence = sequence_reader(lab)

    def read(query: Query) -> list[Any]:
        of_runs = _nothing({"apart": True}) if query.get(KEY) else read_runs(query)
        return [read_sequence(query), *of_runs]

    shown = [sequence, choice, words, gain, scores, table, items]
    keep_live(blocks, lab, "forgetting", header, shown, read)


def _nothing(choice: Document) -> list[Any]:
    """The values of all views of runs but the first while none is shown."""
    none = {"none": True}
    return [choice, none, no_chart(""), {"charts": []}, none, none]


def _chosen(scored: list[Document], query: Query) -> tuple[tuple[str, ...], str]:
    """The runs of the address, or the newest group (of ``task``); and what is wrong with them."""
    known = [run["id"] for run in scored]
    given = [name for name in query.get("runs", "").split(",") if name][:MOST_RUNS]
    named = [_whole_id(name, known) for name in given]
    missing = [name for name in named if name not in known]
    told = f"runs: no run with scores is called {', '.join(missing)}" if missing else ""
    if named:
        return tuple(dict.fromkeys(name for name in named if name in known)), told
    of_task = [run for run in scored if query.get("task") in (None, "", run["task"])]
    newest = (of_task or scored)[-1:]
    return tuple(run["id"] for run in scored if newest and run["group"] == newest[0]["group"])[
        :MOST_RUNS
    ], told


def _whole_id(name: str, known: Sequence[str]) -> str:
    """The id that begins so, as commands print it, if there is one; else ``name``."""
    found = [run_id for run_id in known if run_id.startswith(name)]
    return found[0] if len(found) == 1 else name


def _find(lab: Lab, runs: tuple[str, ...]) -> Document:
    document = lab.views.forgetting(runs)
    priors = [p["name"] for p in document["probes"] if p["part"] == "prior" and p["is_share"]]
    sentences, compared = _compared(lab, document)
    return document | {
        "words": lab.views.forgetting_words(document, compared, sentences),
        "items": {probe: lab.views.changed_items(runs, probe) for probe in priors},
    }


def _compared(lab: Lab, document: Document) -> tuple[list[str], Document | None]:
    """The findings, task by task, and the comparison of the last run where all share a task."""
    by_task: dict[str, list[str]] = {}
    for run in document["runs"]:
        if run["id"] in document["finished"]:
            by_task.setdefault(run["task"], []).append(run["id"])
    try:
        sentences = [told for ids in by_task.values() for told in lab.findings(ids)]
        ids = document["finished"]
        is_pair = len(ids) > 1 and len(by_task) == 1
        return sentences, lab.compare([ids[-1], *ids[:-1]]) if is_pair else None
    except SdlabError as error:
        return [str(error)], None


def _charts(
    document: Document, styled: Sequence[str], shown: Sequence[str], prior: str
) -> tuple[Document, Document]:
    styles = run_styles(styled)
    return gain_chart(document, styles, prior), probe_charts(document, styles, shown)


def _values(
    scored: list[Document], document: Document, query: Query, missing: str, draw: Charts
) -> list[Any]:
    tasks = {run["task"] for run in document["runs"]}
    chosen = [run["id"] for run in document["runs"]]
    candidates = [run for run in scored if run["task"] in tasks]
    styled = tuple(run["id"] for run in candidates)
    styles = run_styles(styled)
    wanted = set(query.get("probes", "").split(","))
    every = [probe["name"] for probe in document["probes"]]
    shown = [name for name in every if name in wanted] or every
    priors = list(document["items"])
    prior = query.get("prior", "")
    prior = prior if prior in priors else next(iter(priors), "")
    names = {run["id"]: run["name"] for run in document["runs"]}
    own = {run: styles[run] for run in chosen}
    gain, curves = draw(styled, tuple(shown), prior)
    choice = {
        "tasks": sorted({run["task"] for run in scored}),
        "task": document["runs"][0]["task"],
        **_groups(candidates, chosen, styles),
        "probes": [{"name": name, "chosen": name in shown} for name in every],
        "priors": priors,
        "prior": prior,
        "missing": missing,
    }
    changes = sorted(
        (change for change in document["changes"] if change["probe"] in shown),
        key=lambda change: (every.index(change["probe"]), chosen.index(change["run"])),
    )
    return [
        choice,
        document["words"],
        gain,
        curves,
        {"names": names, "colours": _colours(own), "changes": changes},
        {"names": names, "colours": _colours(own), "items": document["items"]},
    ]


def _groups(candidates: list[Document], chosen: list[str], styles: dict[str, Style]) -> Document:
    """The runs that can be chosen, those launched together beside each other, newest first.

    Of many only the newest groups are listed, and those with a chosen run.
    """
    groups: dict[str, Document] = {}
    for run in candidates:
        group = groups.setdefault(
            run["group"], {"id": run["group"], "at": run["created_at"], "runs": []}
        )
        group["runs"].append(
            {key: run[key] for key in ("id", "name", "method", "state")}
            | {"colour": styles[run["id"]].colour, "chosen": run["id"] in chosen}
        )
    newest = list(groups.values())[::-1]
    listed = newest[:_LISTED_GROUPS] + [
        group for group in newest[_LISTED_GROUPS:] if any(run["chosen"] for run in group["runs"])
    ]
    return {"groups": listed, "left_off": len(newest) - len(listed)}


def _colours(styles: dict[str, Style]) -> dict[str, str]:
    return {run: style.colour for run, style in styles.items()}
