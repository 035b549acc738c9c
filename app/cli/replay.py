"""``sdlab replay``: a step computed again, to see whether it gives what was stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from app.cli.output import json_option, open_lab, show
from app.cli.waiting import must_be_done, wait_for


@click.command()
@click.argument("run")
@click.option("--step", type=int, required=True, help="A step that the run has done, from 1.")
@json_option
def replay(run: str, step: int, as_json: bool) -> None:
    """Compute RUN's steps up to one again, from the checkpoint before, and compare their metrics.

    On a CPU every number must be equal.
    """
    with open_lab() as lab:
        (ended,) = wait_for(lab, [lab.replay(run, step)])
        found = must_be_done(ended)["result"]
        document = {key: found[key] for key in ("equal", "first_difference")}
        show(document, as_json, _lines)


def _lines(document: dict[str, Any]) -> Iterator[str]:
    if document["equal"]:
        yield "equal: all metrics are what was stored"
        return
    first = document["first_difference"]
    yield (
        f"not equal: {first['metric']} of step {first['step']} is {first['computed']} now, "
        f"stored was {first['stored']}"
    )
