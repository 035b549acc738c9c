"""``sdlab runs``, ``show``, ``stop`` and ``resume``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from app.cli.output import duration, json_option, open_lab, percent, table
from app.cli.output import show as print_document
from app.cli.waiting import exit_code_of, wait_for


@click.command()
@json_option
def runs(as_json: bool) -> None:
    """All jobs, newest first."""
    with open_lab() as lab:
        print_document(lab.runs(), as_json, _table)


def _table(documents: list[dict[str, Any]]) -> Iterator[str]:
    if not documents:
        yield "no runs yet; start one with: sdlab train --task NAME --method sdft --wait"
        return
    rows = [("id", "name", "state", "step", "left", "loss")]
    for run in documents:
        progress, loss = run["progress"], run["metrics"].get("loss")
        rows.append((run["id"][:8], run["name"], run["state"],
                     f"{progress['step']}/{progress['total']}",
                     duration(progress["eta_s"]) if run["state"] == "running" else "",
                     "" if loss is None else f"{loss:.3f}"))  # fmt: skip
    yield from table(rows)


@click.command()
@click.argument("run")
@json_option
def show(run: str, as_json: bool) -> None:
    """One job: progress, metrics, scores, checkpoints, error."""
    with open_lab() as lab:
        print_document(lab.run(run), as_json, run_lines)


def run_lines(run: dict[str, Any]) -> Iterator[str]:
    """A job as a person reads it."""
    progress = run["progress"]
    yield f"{run['id']}  {run['name']}  {run['method'] or run['kind']}  {run['state']}"
    yield f"  step {progress['step']}/{progress['total']}  {progress['phase']}"
    if use := _use(run["metrics"]):
        yield f"  {use}"
    if run["error"]:
        yield f"  error: {run['error']['message']}; {run['error'].get('remedy') or run['log']}"
    premise = run["result"].get("premise")
    if premise:
        yield f"  premise: {premise['sentence']}"
    if "overruled" in run["result"]:
        yield f"  {run['result']['overruled']}"
    scores = [("probe", "metric", "step", "score")] + [
        (found["probe"], found["metric"], str(found["step"]), percent(found))
        for found in run["evaluations"]
    ]
    if len(scores) > 1:
        yield from table(scores, "  ")
    for point in run["checkpoints"]:
        yield f"  checkpoint of step {point['step']}: {point['bytes'] >> 20} MiB"
    if run["log"]:
        yield f"  log: {run['log']}"


def _use(metrics: dict[str, float | None]) -> str:
    """What the worker took of its machine when it last told."""
    told = {
        "memory": ("memory_mib", "MiB"),
        "most": ("memory_most_mib", "MiB"),
        "CPU": ("cpu_percent", "%"),
        "GPU memory": ("gpu_memory_mib", "MiB"),
        "GPU": ("gpu_percent", "%"),
        "GPU at": ("gpu_celsius", "°C"),
    }
    found = ((name, metrics.get(key), unit) for name, (key, unit) in told.items())
    return ", ".join(f"{name} {value:.0f} {unit}" for name, value, unit in found if value)


@click.command()
@click.argument("run")
@json_option
def stop(run: str, as_json: bool) -> None:
    """End a run at its next step; it leaves a checkpoint and a usable adapter."""
    with open_lab() as lab:
        print_document(lab.stop(run), as_json, _state)


@click.command()
@click.argument("run")
@click.option("--wait", is_flag=True, help="Supervise the run until it ends.")
@json_option
def resume(run: str, wait: bool, as_json: bool) -> None:
    """Queue a stopped, failed or lost run again; it goes on from its last checkpoint."""
    with open_lab() as lab:
        document = lab.resume(run)
        if wait:
            document = wait_for(lab, [document["id"]])[0]
        print_document(document, as_json, _state)
        if wait:
            raise click.exceptions.Exit(exit_code_of([document]))


def _state(run: dict[str, Any]) -> Iterator[str]:
    yield f"{run['id'][:8]}  {run['name']}: {run['state']}"
