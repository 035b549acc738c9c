"""``sdlab premise``: does the teacher, shown a demonstration, do better than the student?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from app.cli.output import json_option, open_lab, percent, show, table
from app.cli.waiting import result_of
from backend.config import DEFAULT_MODEL


@click.command()
@click.argument("task", metavar="TASK_OR_FILE")
@click.option("--example", help="The check of a paper, on its FILE: toolalpaca.")
@click.option("--model", default=DEFAULT_MODEL, show_default=True)
@click.option("--context", default="auto", show_default=True, help="A context form, or auto.")
@click.option("--limit", default=None, type=int, help="Rows; 0: all. (32, of an example all.)")
@click.option("--wait", is_flag=True, help="Supervise the check and print its verdict.")
@json_option
def premise(
    task: str,
    example: str | None,
    model: str,
    context: str,
    limit: int | None,
    wait: bool,
    as_json: bool,
) -> None:
    """Check on held-out rows whether a task can be learned by self-distillation."""
    document: dict[str, Any] = {"model": model, "context": context}
    if limit is not None:
        document["limit"] = limit
    with open_lab() as lab:
        if example is None:
            run_id = lab.premise({"task": task, **document})
        else:
            run_id = lab.example_premise(example, Path(task), document)
        ended = result_of(lab, run_id, wait, as_json)
        if ended is not None:
            show(ended["result"]["premise"], as_json, premise_lines)


def premise_lines(document: dict[str, Any]) -> Iterator[str]:
    """The verdict, and a line for each context form."""
    yield document["sentence"]
    student = document["student"]
    rows = [
        (
            "role",
            "greedy score",
            "nats a token",
            "p(whole)",
            "won:lost",
            "KL",
            "copied",
            "too long",
        ),
        ("student", percent(student), *_likelihood(student), "", "", "", ""),
    ]
    for name, check in document["by_context"].items():
        teacher = check["teacher"]
        score = percent(teacher) if teacher["n"] else "no row fits"
        rows.append((f"teacher, {name}", score, *_likelihood(teacher), *_signs(check)))
    yield from table(rows, "  ")


def _likelihood(role: dict[str, Any]) -> tuple[str, str]:
    nats = role["nats_per_token"]
    return ("-" if nats is None else f"{nats:.2f}", f"{role['whole_probability']:.3f}")


def _signs(check: dict[str, Any]) -> tuple[str, str, str, str]:
    kl = check["kl"]
    return (
        f"{check['wins']}:{check['losses']}",
        "-" if kl is None else f"{kl:.2f}",
        f"{check['copied']:.0%}",
        f"{check['too_long_share']:.0%}",
    )
