"""``sdlab traces``: student and teacher side by side, token by token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from app.cli.output import json_option, open_lab, show, table


@click.command()
@click.argument("run")
@click.option("--step", type=int, help="A traced step; default: the last.")
@json_option
def traces(run: str, step: int | None, as_json: bool) -> None:
    """What student and teacher thought of every token of RUN's rollouts."""
    with open_lab() as lab:
        show(lab.traces(run, step), as_json, _traces)


def _traces(documents: list[dict[str, Any]]) -> Iterator[str]:
    for document in documents:
        yield f"step {document['step']}, {document['kind']}, {document['demonstration_id']}"
        yield from _texts(document)
        yield from table(list(_tokens(document)), "    ")
        yield ""


def _texts(document: dict[str, Any]) -> Iterator[str]:
    named = (
        ("student reads", "student_prompt"),
        ("teacher reads", "teacher_prompt"),
        (f"rollout ({document['source']})", "completion"),
        ("demonstration", "demonstration"),
        ("teacher's own answer", "teacher_answer"),
        ("base's answer", "base_answer"),
    )
    for label, key in named:
        if document[key] is not None:
            yield f"  {label}: {document[key]!r}"


def _tokens(document: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    yield ("token", "divergence", "p student", "p teacher", "student would", "teacher would")
    for token in document["tokens"]:
        student, teacher = token["student"], token["teacher"]
        yield (
            repr(token["text"]) + ("" if token["weight"] > 0 else " (not counted)"),
            f"{token['divergence']:.3f}",
            f"{student['probability']:.3f}",
            "-" if teacher is None else f"{teacher['probability']:.3f}",
            repr(student["top"][0]["text"]),
            "-" if teacher is None else repr(teacher["top"][0]["text"]),
        )
