"""``sdlab storage``, ``delete``, ``clean``, ``backup`` and ``restore``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from app.cli.files import written_to
from app.cli.output import json_option, open_lab, show, table
from backend.lab import restore_lab
from backend.settings import validate_settings

yes_option = click.option("--yes", is_flag=True, help="Do it; without, it is only shown.")


@click.command()
@json_option
def storage(as_json: bool) -> None:
    """What the lab and each of its runs take on disk."""
    with open_lab() as lab:
        show(lab.keeping.sizes(), as_json, _sizes)


@click.command()
@click.argument("runs", nargs=-1, required=True)
@yes_option
@json_option
def delete(runs: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Take ended RUNS out of the lab for good, with all that they made."""
    with open_lab() as lab:
        show(lab.keeping.delete(runs, preview=not yes), as_json, _deleted)


@click.command()
@click.argument("runs", nargs=-1, required=True)
@yes_option
@json_option
def archive(runs: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Pack the checkpoints and traces of ended RUNS into a file each; unarchive puts them back."""
    with open_lab() as lab:
        show(lab.keeping.archive(runs, preview=not yes), as_json, _archived)


@click.command()
@click.argument("run")
@json_option
def unarchive(run: str, as_json: bool) -> None:
    """Put an archived RUN's checkpoints and traces back in their place."""
    with open_lab() as lab:
        show(lab.keeping.unarchive(run), as_json, lambda d: iter([f"{d['name']}: put back"]))


@click.command()
@yes_option
@json_option
def clean(yes: bool, as_json: bool) -> None:
    """Delete files that nothing in the lab refers to."""
    with open_lab() as lab:
        show(lab.keeping.collect(preview=not yes), as_json, _collected)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def backup(file: Path, as_json: bool) -> None:
    """Copy the lab, in use or not, into a TAR file; models are left out."""
    with open_lab() as lab, written_to(file):
        show(lab.keeping.backup(file), as_json, lambda d: iter([f"{d['path']}: {_mib(d)}"]))


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@json_option
def restore(file: Path, as_json: bool) -> None:
    """Make a lab at SDLAB_HOME, which must be empty, from a backup."""
    show(restore_lab(validate_settings(), file), as_json, lambda d: iter([d["home"]]))


def _sizes(document: dict[str, Any]) -> Iterator[str]:
    rows = [("run", "name", "state", "checkpoints", "traces", "all files")]
    for run in document["runs"]:
        points = sum(point["bytes"] for point in run["checkpoints"])
        cells = (f"{len(run['checkpoints'])}, {_size(points)}", _size(run["traces"]))
        rows.append((run["id"][:8], run["name"], run["state"], *cells, _size(run["folder"])))
    yield from table(rows)
    for part in ("database", "uploads", "models", "unused", "free"):
        if document[part] is not None:
            yield f"{part}: {_size(document[part])}"


def _deleted(document: dict[str, Any]) -> Iterator[str]:
    verb = "deleted" if document["deleted"] else "would be deleted (give --yes)"
    for run in document["runs"]:
        points, made = len(run["checkpoints"]), ", ".join(a["kind"] for a in run["artifacts"])
        yield (
            f"{run['id'][:8]}  {run['name']}: {verb}, with its scores and curves, {points} "
            f"checkpoints, {made or 'no artifact'}, {_size(run['traces'])} of traces; "
            f"{_size(run['folder'])} of files"
        )


def _archived(document: dict[str, Any]) -> Iterator[str]:
    for run in document["runs"]:
        size = sum(point["bytes"] for point in run["checkpoints"]) + run["traces"]
        done = f"packed into {_size(run['packed'])}" if "packed" in run else "would be packed"
        points = len(run["checkpoints"])
        yield (
            f"{run['id'][:8]}  {run['name']}: {done}{'' if 'packed' in run else ' (give --yes)'}: "
            f"{points} checkpoints and {_size(run['traces'])} of traces, {_size(size)}"
        )


def _collected(document: dict[str, Any]) -> Iterator[str]:
    verb = "deleted" if document["deleted"] else "would be deleted (give --yes)"
    for file in document["files"]:
        yield f"{file['path']}: {verb}, {_mib(file)}"
    if not document["files"]:
        yield "nothing: every file is referred to"


def _mib(document: dict[str, Any]) -> str:
    return _size(document["bytes"])


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:.1f} MiB"
