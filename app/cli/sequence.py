"""``sdlab sequence``: tasks learned one after the other, and what each method forgot of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from app.cli.files import read_config
from app.cli.output import json_option, open_lab, show, table, tell
from app.cli.waiting import QUEUED, exit_code_of, wait_for


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Queue it even if a run takes days.")
@click.option("--anyway", is_flag=True, help="Queue it although a premise is no-go.")
@click.option("--wait", is_flag=True, help="Supervise the runs until all have ended.")
@json_option
def sequence(config: Path, force: bool, anyway: bool, wait: bool, as_json: bool) -> None:
    """Train on tasks one after the other, in one or several ways, as CONFIG.yaml says.

    The same file again goes on with the same sequence.
    """
    document = read_config(config) | ({"anyway": True} if anyway else {})
    with open_lab() as lab:
        for line in lab.estimate_sequence(document, forced=force):
            tell(f"  {line}")
        sequence_id = lab.start_sequence(document, forced=force)
        tell(f"  sequence {sequence_id}")
        runs = _runs(lab.sequence(sequence_id))
        if wait:
            runs = wait_for(lab, [run["id"] for run in runs])
        elif any(run["state"] == "queued" for run in runs):
            tell(QUEUED)
        show(lab.sequence(sequence_id), as_json, _lines)
        if wait:
            raise click.exceptions.Exit(exit_code_of(runs))


def _runs(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [stage for arm in document["arms"] for stage in arm["stages"]]


def _lines(document: dict[str, Any]) -> Iterator[str]:
    yield f"{document['id']}  {document['name'] or 'sequence'}  {document['state']}"
    for arm in document["arms"]:
        yield ""
        yield f"{arm['name']} ({arm['method']}, seed {arm['seed']})"
        rows = [("", *(f"on {task}" for task in document["tasks"]), "")]
        rows.append(("before", *map(_percent, arm["matrix"]["b"]), ""))
        for task, scores, run in zip(
            document["tasks"], arm["matrix"]["R"], arm["stages"], strict=True
        ):
            state = f"{run['state']} ({run['id'][:8]})"
            rows.append((f"after {task}", *map(_percent, scores), state))
        yield from table(rows, "  ")
        yield from _numbers(arm)


def _numbers(arm: dict[str, Any]) -> Iterator[str]:
    named: Sequence[tuple[str, str]] = (
        ("average score", "acc"),
        ("backward transfer", "bwt"),
        ("forward transfer", "fwt"),
        ("forgetting", "forgetting"),
    )
    told = [f"{label} {100 * arm[key]:+.1f}" for label, key in named if arm[key] is not None]
    if told:
        yield f"  {', '.join(told)} (points)"


def _percent(score: float | None) -> str:
    return "-" if score is None else f"{100 * score:.0f} %"
