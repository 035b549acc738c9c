"""``sdlab task``: add, list, show and export tasks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from app.cli.output import json_option, open_lab, problem_lines, show, table

SCORER: Final = "NAME, NAME:VALUE or NAME:{JSON}, as in regex:PATTERN; see docs/scorers.md."


@click.group()
def task() -> None:
    """Upload demonstrations and look at them."""


@task.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="The task's name.")
@click.option("--map", "overrides", multiple=True, metavar="prompt=COL", help="A column's role.")
@click.option("--scorer", default="exact", show_default=True, help=SCORER)
@click.option("--scorer-options", default="", metavar="JSON", help="Its parameters.")
@click.option("--held-out", default="0.2", show_default=True, help="A share, a number, or a file.")
@click.option("--seed", default=0, show_default=True, help="Of the split.")
@click.option("--keep-good", is_flag=True, help="Leave faulty rows out, keep the rest.")
@json_option
def add(
    file: Path,
    name: str,
    overrides: tuple[str, ...],
    scorer: str,
    scorer_options: str,
    held_out: str,
    seed: int,
    keep_good: bool,
    as_json: bool,
) -> None:
    """Add FILE (JSONL, JSON, CSV or Parquet) as a new version of a task."""
    with open_lab() as lab:
        added = lab.add_task(
            file, name, columns=overrides, scorer=scorer, scorer_options=scorer_options,
            held_out=held_out, seed=seed, keep_good=keep_good,
        )  # fmt: skip
        show(added, as_json, _added)


def _added(document: dict[str, Any]) -> Iterator[str]:
    rows, verb = document["rows"], "added" if document["is_new"] else "was there already:"
    yield (
        f"{document['name']}@{document['version']} {verb} "
        f"{rows['training']} training and {rows['held_out']} held-out rows"
    )
    for warning in document["report"]["warnings"]:
        yield f"  warning: {warning}"
    yield from problem_lines(document["report"]["problems"])


@task.command("list")
@json_option
def list_tasks(as_json: bool) -> None:
    """All tasks."""
    with open_lab() as lab:
        show(lab.tasks(), as_json, _tasks)


def _tasks(documents: list[dict[str, Any]]) -> Iterator[str]:
    if not documents:
        yield "no tasks yet; add one with: sdlab task add FILE --name NAME"
        return
    rows = [("task", "version", "training", "held out", "scorer")]
    for document in documents:
        newest = document["versions"][-1]
        counts = newest["rows"]
        rows.append((document["name"], str(newest["version"]), str(counts["training"]),
                     str(counts["held_out"]), newest["scorer"]))  # fmt: skip
    yield from table(rows)


@task.command("show")
@click.argument("name")
@json_option
def show_task(name: str, as_json: bool) -> None:
    """One task with its versions and their reports."""
    with open_lab() as lab:
        show(lab.task(name), as_json, _task)


def _task(document: dict[str, Any]) -> Iterator[str]:
    yield document["name"]
    for version in document["versions"]:
        rows, counts = version["rows"], version["report"]["counts"]
        yield (
            f"  @{version['version']}  {rows['training']} training, {rows['held_out']} held out, "
            f"scorer {version['scorer']}, {version['created_at'][:16]}"
        )
        for column, choice in sorted(version["mapping"]["columns"].items()):
            yield f"      {column} from {choice['column']} ({choice['reason']})"
        for kind, count in sorted(counts.items()):
            yield f"      {kind}: {count}"
        for warning in version["report"]["warnings"]:
            yield f"      warning: {warning}"


@task.command()
@click.argument("name")
@click.option("--to", "target", required=True, type=click.Path(path_type=Path))
@json_option
def export(name: str, target: Path, as_json: bool) -> None:
    """Write a task's rows as JSONL."""
    with open_lab() as lab:
        show(lab.export_task(name, target), as_json, _exported)


def _exported(document: dict[str, Any]) -> Iterator[str]:
    yield f"{document['rows']} rows in {document['path']}"


@task.command("try")
@click.argument("name")
@click.option("--row", type=int, required=True, help="Its place in the task, from 1.")
@click.option("--answer", required=True, help="What a model might write.")
@click.option("--scorer", default="", help=f"Another than the task's: {SCORER}")
@click.option("--scorer-options", default="", metavar="JSON", help="Its parameters.")
@json_option
def try_scorer(
    name: str, row: int, answer: str, scorer: str, scorer_options: str, as_json: bool
) -> None:
    """Score an answer to one row, and say why."""
    with open_lab() as lab:
        show(lab.try_scorer(name, row, answer, scorer, scorer_options), as_json, _tried)


def _tried(document: dict[str, Any]) -> Iterator[str]:
    yield f"{document['score']:.2f}  {document['reason']}"
