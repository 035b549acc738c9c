"""``sdlab queue``: what waits, in which order; moved, ranked, paused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from app.cli.output import json_option, open_lab, show, table


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def queue(context: click.Context, as_json: bool) -> None:
    """What works and what waits; the commands below change the order."""
    if context.invoked_subcommand is None:
        with open_lab() as lab:
            show(lab.queue.document(), as_json, _lines)


@queue.command()
@json_option
def pause(as_json: bool) -> None:
    """Start no queued run from now on; runs under way go on."""
    with open_lab() as lab:
        show(lab.queue.pause(), as_json, _lines)


@queue.command()
@json_option
def resume(as_json: bool) -> None:
    """Start queued runs again."""
    with open_lab() as lab:
        show(lab.queue.resume(), as_json, _lines)


@queue.command()
@click.argument("run")
@json_option
def first(run: str, as_json: bool) -> None:
    """Put RUN before all others."""
    with open_lab() as lab:
        show(lab.queue.move_first(run), as_json, _lines)


@queue.command()
@click.argument("run")
@json_option
def last(run: str, as_json: bool) -> None:
    """Put RUN behind all others."""
    with open_lab() as lab:
        show(lab.queue.move(run), as_json, _lines)


@queue.command()
@click.argument("run")
@click.argument("other")
@json_option
def before(run: str, other: str, as_json: bool) -> None:
    """Put RUN before OTHER."""
    with open_lab() as lab:
        show(lab.queue.move(run, other), as_json, _lines)


@queue.command()
@click.argument("run")
@click.argument("number", type=click.IntRange(-(10**6), 10**6))
@json_option
def priority(run: str, number: int, as_json: bool) -> None:
    """Give RUN a priority; the usual one is 0, and a higher one goes first."""
    with open_lab() as lab:
        show(lab.queue.set_priority(run, number), as_json, _lines)


def _lines(document: dict[str, Any]) -> Iterator[str]:
    if document["paused"]:
        yield "paused: no queued run is started; go on with: sdlab queue resume"
    rows = [("slot or place", "id", "name", "kind", "priority")]
    for slot in document["slots"]:
        rows.append((slot["id"], *_cells(slot["run"])) if slot["run"] else _free(slot["id"]))
    for place, run in enumerate(document["queued"], start=1):
        rows.append((str(place), *_cells(run)))
    yield from table(rows)


def _cells(run: dict[str, Any]) -> tuple[str, str, str, str]:
    return run["id"][:8], run["name"], run["kind"], str(run["priority"])


def _free(slot: str) -> tuple[str, str, str, str, str]:
    return slot, "free", "", "", ""
