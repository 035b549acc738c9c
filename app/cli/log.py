"""``sdlab log``: what a run's worker wrote."""

from __future__ import annotations

from collections.abc import Iterator

import click

from app.cli.output import json_option, open_lab, show


@click.command()
@click.argument("run")
@click.option("--find", default="", help="Only what says this, in whatever case.")
@click.option("--level", default="", help="Only this level and above, such as warning.")
@click.option("--lines", default=200, type=click.IntRange(min=1), show_default=True)
@json_option
def log(run: str, find: str, level: str, lines: int, as_json: bool) -> None:
    """The end of a run's log, or what it says of something."""
    with open_lab() as lab:
        text = lab.views.log(run, lines, find, level)
        show({"run": run, "lines": text.splitlines()}, as_json, _lines)


def _lines(document: dict[str, list[str]]) -> Iterator[str]:
    yield from document["lines"] or ["nothing"]
