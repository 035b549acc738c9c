"""``sdlab task leaks``: held-out rows that nearly stand among the training rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from app.cli.output import json_option, open_lab, show
from app.cli.waiting import result_of


@click.command()
@click.argument("task")
@click.option("--wait", is_flag=True, help="Supervise the search and print what it finds.")
@json_option
def leaks(task: str, wait: bool, as_json: bool) -> None:
    """Compare every held-out row of TASK with its training rows; sdlab stop ends it."""
    with open_lab() as lab:
        ended = result_of(lab, lab.start_leak_search(task), wait, as_json)
        if ended is not None:
            show(ended["result"]["leaks"], as_json, _lines)


def _lines(document: dict[str, Any]) -> Iterator[str]:
    yield document["sentence"]
    for pair in document["pairs"]:
        yield f"  row {pair['held_out']} like row {pair['training']} ({pair['likeness']:.0%})"
