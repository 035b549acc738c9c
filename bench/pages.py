"""How long each page takes until it is ready, and a trace of 1,000 tokens until it is painted.

    python -m bench.pages [--samples 7] [--json FILE] [--models FOLDER]

Makes a lab with finished runs, serves it, and opens its pages in Chromium, each time in a new
context, so that nothing is cached in the browser. All times are the browser's own. Exits with 1
where a median misses its target.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.browser import chromium, open_cold, paint_tokens
from bench.machine import machine_document, save
from bench.server import running_server
from bench.stored_lab import TOKENS, StoredLab, fill_lab

READY_MS: Final = 2500
PAINTED_MS: Final = 300
ALL_TOKENS: Final = f"#trace-teacher-tokens .sd-tok:nth-child({TOKENS})"
VERSIONS: Final = ("sdlab", "gradio", "plotly", "sqlalchemy", "playwright")


@dataclass(frozen=True)
class Sight:
    """A page to open: its name, its address, and the elements by which it counts as ready."""

    name: str
    address: str
    marks: tuple[str, ...]


def sights(lab: StoredLab) -> list[Sight]:
    """Every page with something to show, and Forgetting with all runs at once."""
    run = lab.runs[-1]
    chart = ".main-svg .trace"
    forgetting = (
        *drawn("forget-choice", "forget-words", "forget-gain", "forget-scores", "forget-table"),
        *drawn("forget-items"),
        f"#forget-gain {chart}",
        f"#forget-scores {chart}",
    )
    return [
        Sight("Runs", "", (*drawn("runs"), "#runs a[href*='id=']")),
        Sight("Tasks", "tasks", drawn("task-list", "task-open", "task-rows", "task-guide")),
        Sight(
            "Tasks, prompts of a row",
            "tasks?task=tickets&row=1",
            (*drawn("task-list", "task-open", "task-guide"), "#task-rows [aria-expanded=true]"),
        ),
        Sight(
            "Launch",
            "launch?task=tickets",
            (*drawn("launch-head", "launch-premise-result", "launch-plan"), "#launch-yaml"),
        ),
        Sight(
            "Run",
            f"run?id={run}",
            (*drawn("run-summary", "run-details"), f"#run-scores {chart}", f"#run-metrics {chart}"),
        ),
        Sight("Traces", "traces", drawn("trace-index", "trace-tokens")),
        Sight("Traces, 1,000 tokens", f"traces?run={run}", (*drawn("trace-index"), ALL_TOKENS)),
        Sight("Forgetting", "forgetting", forgetting),
        Sight("Forgetting, 12 runs", f"forgetting?runs={','.join(lab.runs)}", forgetting),
        Sight("Glossary", "glossary", drawn("glossary")),
    ]


def drawn(*views: str) -> tuple[str, ...]:
    """The marks by which these views and the head line have been drawn."""
    return tuple(f"#{view} [data-drawn=true]" for view in ("header", *views))


def measure(lab: StoredLab, url: str, samples: int) -> dict[str, Any]:
    """All samples, page by page; one round opens every page once, so that noise spreads evenly."""
    pages = sights(lab)
    opened: dict[str, list[dict[str, float]]] = {page.name: [] for page in pages}
    painted: list[dict[str, float]] = []
    with chromium() as browser:
        for _ in range(samples):
            for sight in pages:
                opened[sight.name].append(open_cold(browser, url + sight.address, sight.marks))
            painted.append(paint_tokens(browser, f"{url}traces?run={lab.runs[-1]}", ALL_TOKENS))
        return {"browser": browser.version, "opened": opened, "painted": painted}


def rows(measured: Mapping[str, Any]) -> Iterator[tuple[str, list[float], float | None]]:
    """Name, times and target of each line of the table."""
    for name, samples in measured["opened"].items():
        yield name, [each["ready_ms"] for each in samples], READY_MS
    painted = measured["painted"]
    yield "1,000 tokens, from value to frame", [e["from_value_ms"] for e in painted], PAINTED_MS
    yield "1,000 tokens, from click to frame", [e["from_click_ms"] for e in painted], None


def table(measured: Mapping[str, Any]) -> Iterator[str]:
    """The times as a Markdown table, in milliseconds."""
    yield "| what | median, ms | from | to | first | target |"
    yield "|---|---:|---:|---:|---:|---|"
    for name, times, target in rows(measured):
        median = statistics.median(times)
        met = "" if target is None else f"{target:,.0f}: {'met' if median < target else 'MISSED'}"
        numbers = " | ".join(f"{x:,.0f}" for x in (median, min(times), max(times), times[0]))
        yield f"| {name} | {numbers} | {met} |"


def missed(measured: Mapping[str, Any]) -> list[str]:
    return [
        name
        for name, times, target in rows(measured)
        if target is not None and statistics.median(times) >= target
    ]


def main() -> int:
    """Measures and prints; returns 1 where a target is missed."""
    parser = argparse.ArgumentParser(description="Measure the lab's pages in a browser.")
    parser.add_argument("--samples", type=int, default=7, help="of each page (default: 7)")
    parser.add_argument("--json", type=Path, help="write all samples and the machine to this file")
    parser.add_argument("--models", type=Path, help="models/ of a lab, to convert nothing")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sdlab-bench-") as folder:
        home = Path(folder) / "home"
        home.mkdir()
        print("filling a lab, which takes a minute where the model is to be converted", flush=True)
        lab = fill_lab(home, chosen.models)
        machine = machine_document(VERSIONS)
        with running_server(home, Path(folder) / "server.log") as served:
            measured = measure(lab, served.url, chosen.samples)
    machine["load_1_min_after"] = machine_document(())["load_1_min"]
    print(*table(measured), sep="\n")
    told = {key: machine[key] for key in ("processor", "cores", "load_1_min", "load_1_min_after")}
    print(f"n = {chosen.samples}; Chromium {measured['browser']}; {told}; {machine['versions']}")
    save(chosen.json, {"machine": machine, "targets_ms": [READY_MS, PAINTED_MS], **measured})
    return 1 if missed(measured) else 0


if __name__ == "__main__":
    sys.exit(main())
