"""``sdlab export``: take an adapter home."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from app.cli.files import written_to
from app.cli.output import json_option, open_lab, show
from app.cli.waiting import Teller


@click.command()
@click.argument("run")
@click.option(
    "--to", "target", required=True, type=click.Path(path_type=Path), help="DIR, or FILE.zip."
)
@click.option("--format", "form", default="peft", show_default=True, help="peft, merged or gguf.")
@click.option("--checkpoint", type=int, help="Of which step; default: the last.")
@json_option
def export(run: str, target: Path, form: str, checkpoint: int | None, as_json: bool) -> None:
    """Write a run's adapter as a PEFT folder or ZIP file, or its model, merged or as GGUF."""
    with open_lab() as lab, written_to(target):
        show(lab.export(run, target, form, checkpoint, Teller()), as_json, _exported)


def _exported(document: dict[str, Any]) -> Iterator[str]:
    yield f"{document['path']} ({document['bytes'] >> 10} KiB, sha256 {document['sha256'][:12]}…)"
