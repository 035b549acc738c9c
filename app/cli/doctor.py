"""``sdlab doctor``: what this machine and this lab look like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from app.cli.output import json_option, show
from backend.lab import examine
from backend.settings import validate_settings


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Check Python, torch, disk, memory, database, model, access and port."""
    document = examine(validate_settings())
    show(document, as_json, _lines)
    if not all(check["ok"] for check in document["checks"]):
        raise click.exceptions.Exit(1)


def _lines(document: dict[str, Any]) -> Iterator[str]:
    for check in document["checks"]:
        yield f"{'ok ' if check['ok'] else 'NO '} {check['name']}: {check['found']}"
        if not check["ok"]:
            yield f"      {check['remedy']}"
