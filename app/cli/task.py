"""``sdlab task``: add, list, show and export tasks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from app.cli.files import written_to
from app.cli.output import all_or_nothing, json_option, open_lab, problem_lines, show, table
from backend.lab import Progress, Together, Watch, unwatched

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
@click.option(
    "--held-out",
    default="auto",
    show_default=True,
    help="A share, a number, a file, tag=NAME or group=NAME; auto: the file's own split, else 0.2.",
)
@click.option(
    "--together",
    type=click.Choice(["prompt", "group", "tag"]),
    default="group",
    show_default=True,
    help="What is never parted: rows of one prompt, also of one group, or of one first tag.",
)
@click.option("--seed", default=0, show_default=True, help="Of the split.")
@click.option("--keep-good", is_flag=True, help="Leave faulty rows out, keep the rest.")
@click.option(
    "--faulty-to",
    type=click.Path(path_type=Path),
    help="Write the faulty rows there as JSONL, each with what is wrong.",
)
@json_option
def add(
    file: Path,
    name: str,
    overrides: tuple[str, ...],
    scorer: str,
    scorer_options: str,
    held_out: str,
    together: Together,
    seed: int,
    keep_good: bool,
    faulty_to: Path | None,
    as_json: bool,
) -> None:
    """Add FILE as a new version of a task.

    FILE is JSONL, JSON, CSV, TSV, Parquet, Arrow, plain text, a folder written by save_to_disk, a
    folder or zip of these, or a dataset of the hub as hub:owner/name.
    """
    with all_or_nothing(), open_lab() as lab, written_to(faulty_to):
        added = lab.add_task(
            file, name, columns=overrides, scorer=scorer, scorer_options=scorer_options,
            held_out=held_out, together=together, seed=seed, keep_good=keep_good,
            faulty_to=faulty_to, watch=_watch(as_json),
        )  # fmt: skip
        show(added, as_json, _added)


@task.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", default="", help="A task whose files were read before.")
@click.option("--map", "overrides", multiple=True, metavar="prompt=COL", help="A column's role.")
@json_option
def preview(file: Path, name: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Look at FILE without storing anything: its format, columns, and first rows."""
    with all_or_nothing(), open_lab() as lab:
        show(lab.views.preview(file, name, overrides), as_json, _previewed)


def _previewed(document: dict[str, Any]) -> Iterator[str]:
    shape = document["shape"]
    form = ", ".join(filter(None, (document["format"], document["encoding"])))
    yield f"{document['file']}: {form}, {shape['name']} ({shape['reason']})"
    rows = [("column", "taken for", "why")]
    for column in document["columns"]:
        targets = ", ".join(column["targets"]) or "-"
        rows.append((column["name"], targets, column["reason"]))
    yield from table(rows, indent="  ")
    if document["incomplete"]:
        yield f"  {document['incomplete']['problem']}; {document['incomplete']['remedy']}"
    yield f"first {document['looked_at']} rows: {document['faulty']} faulty"
    for row in document["rows"][:3]:
        yield from problem_lines(row["problems"])
        if not row["problems"]:
            yield f"  row {row['row']}: {_line(row['turns'][-1]['content'])}"
            yield f"    -> {_line(row['demonstration'])}"


def _line(text: str) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= 90 else line[:90] + " …"


def _watch(as_json: bool) -> Watch:
    """A line on stderr that is written anew as rows come in, where a person sees it."""
    if as_json or not sys.stderr.isatty():
        return unwatched

    def watch(progress: Progress) -> None:
        end = "\n" if progress.share == 1 else ""
        text = f"\r{progress.stage} {progress.rows:,} rows, {progress.share:.0%}"
        click.echo(text + end, nl=False, err=True)

    return watch


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
    """Write a task's rows as JSONL, or as CSV where the file's name ends so."""
    with open_lab() as lab, written_to(target):
        show(lab.export_task(name, target), as_json, _exported)


def _exported(document: dict[str, Any]) -> Iterator[str]:
    yield f"{document['rows']} rows in {document['path']}"
    if document["escaped"]:
        yield f"  {document['escaped']} cells begin like a formula and got a ' before it"


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
