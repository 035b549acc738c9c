"""``sdlab task edit`` and ``task diff``: versions made by hand, and what differs between two."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from app.cli.output import json_option, open_lab, show
from backend.errors import DataError


@click.command()
@click.argument("name")
@click.option("--exclude", type=int, multiple=True, metavar="ROW", help="Leave a row out.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="ROW.FIELD=TEXT",
    help="Change a row's prompt, demonstration, reference, tags, group or split.",
)
@click.option("--add", "added", multiple=True, metavar="JSON", help="Add a row, as a JSON object.")
@json_option
def edit(
    name: str,
    exclude: tuple[int, ...],
    settings: tuple[str, ...],
    added: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make a new version of task NAME by hand; rows count from 1, training rows first."""
    changes = {
        "exclude": list(exclude),
        "change": _changes(settings),
        "add": [_object(text) for text in added],
    }
    with open_lab() as lab:
        show(lab.edit_task(name, changes), as_json, _edited)


def _changes(settings: tuple[str, ...]) -> dict[int, dict[str, str]]:
    changes: dict[int, dict[str, str]] = {}
    for setting in settings:
        place, _, text = setting.partition("=")
        row, _, field = place.partition(".")
        if not row.isdecimal() or not field or "=" not in setting:
            raise DataError(
                f'"{setting[:80]}" changes no row',
                where="--set",
                remedy="write it as 4.prompt=TEXT",
            )
        changes.setdefault(int(row), {})[field] = text
    return changes


def _object(text: str) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"a row to add is no JSON ({error})",
            where="--add",
            remedy='write it as {"prompt": ..., "demonstration": ...}',
        ) from error
    if not isinstance(row, dict):
        raise DataError("a row to add is no object", where="--add", remedy="write {...}")
    return row


def _edited(document: dict[str, Any]) -> Iterator[str]:
    rows = document["rows"]
    verb = "made" if document["is_new"] else "was there already:"
    yield (
        f"{document['name']}@{document['version']} {verb} "
        f"{rows['training']} training and {rows['held_out']} held-out rows"
    )


@click.command()
@click.argument("before")
@click.argument("after")
@json_option
def diff(before: str, after: str, as_json: bool) -> None:
    """What changed between two versions, as in: sdlab task diff lights@1 lights@2."""
    with open_lab() as lab:
        show(lab.views.task_difference(before, after), as_json, _difference)


def _difference(document: dict[str, Any]) -> Iterator[str]:
    yield ", ".join(f"{count} {kind}" for kind, count in document["counts"].items())
    for kind, sign in (("removed", "-"), ("added", "+")):
        for entry in document[kind]:
            yield f"  {sign} {_text(entry['row'])}"
    for entry in document["changed"]:
        yield f"  - {_text(entry['before'])}"
        yield f"  + {_text(entry['after'])}"
    for entry in document["moved"]:
        yield f"  from {entry['from']} to {entry['to']}: {_text(entry['row'])}"


def _text(row: dict[str, Any]) -> str:
    *_, question, answer = row["messages"]
    return f"{row['id']}: {question['content'][:60]!r} -> {answer['content'][:60]!r}"
