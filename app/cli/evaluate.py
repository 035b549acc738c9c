"""``sdlab evaluate`` and ``compare``: scores of one model, and differences between runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from app.cli.output import json_option, open_lab, percent, show, table
from app.cli.waiting import result_of, tell_warnings


@click.command()
@click.argument("subject", metavar="RUN|MODEL")
@click.option("--probe", "probes", multiple=True, required=True, help="task, task:NAME, prior, ...")
@click.option("--checkpoint", type=int, help="Of which step; default: the last.")
@click.option("--limit", default=0, show_default=True, help="Items a probe; 0: all.")
@click.option("--items", is_flag=True, help="With --wait: every item with its score and reason.")
@click.option("--wait", is_flag=True, help="Supervise the evaluation and print its scores.")
@json_option
def evaluate(
    subject: str,
    probes: tuple[str, ...],
    checkpoint: int | None,
    limit: int,
    items: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Score a run's adapter, or a base model, on probes."""
    document: dict[str, Any] = {"probes": list(probes), "limit": limit}
    if checkpoint is not None:
        document["checkpoint"] = checkpoint
    with open_lab() as lab:
        run_id = lab.evaluate(subject, document)
        ended = result_of(lab, run_id, wait, as_json)
        if ended is not None:
            evaluations = ended["evaluations"]
            if items:
                evaluations = [e | {"items": lab.evaluation_items(e["id"])} for e in evaluations]
            show(evaluations, as_json, _scores)
            tell_warnings(ended)


def _scores(evaluations: list[dict[str, Any]]) -> Iterator[str]:
    rows = [("probe", "metric", "step", "score")]
    rows += [(e["probe"], e["metric"], str(e["step"]), percent(e)) for e in evaluations]
    yield from table(rows)
    for evaluation in evaluations:
        if evaluation.get("items"):
            yield ""
            yield from table([_item(evaluation["probe"], item) for item in evaluation["items"]])


def _item(probe: str, item: dict[str, Any]) -> tuple[str, ...]:
    score = "-" if item["score"] is None else f"{item['score']:.2f}"
    answer = " ".join(item.get("answer", "").split())
    return probe, item["id"], score, " ".join(item["reason"].split()), answer[:60]


@click.command()
@click.argument("runs", nargs=-1, required=True)
@json_option
def compare(runs: tuple[str, ...], as_json: bool) -> None:
    """The first run against the others, on the items that both answered."""
    with open_lab() as lab:
        show(lab.compare(runs), as_json, _comparison)


def _comparison(document: dict[str, Any]) -> Iterator[str]:
    for reason in document["why_not"]:
        yield f"not comparable: {reason}"
    names = {run["id"]: f"{run['name']} ({run['id'][:8]})" for run in document["runs"]}
    first = names[document["runs"][0]["id"]]
    for difference in document["config_differences"]:
        yield f"{first} | {names[difference['runs'][1]]}"
        for key, (ours, theirs) in difference["settings"].items():
            yield f"  {key}: {ours} | {theirs}"
    rows = [("run", "probe", f"its score minus that of {first}", "95 % interval", "p")]
    for pair in document["pairs"]:
        unit, scale = ("nats", 1) if pair["metric"] == "kl_nats" else ("points", 100)
        rows.append((names[pair["runs"][1]], pair["probe"],
                     f"{pair['difference'] * scale:+.3g} {unit}",
                     f"{pair['low'] * scale:+.3g} to {pair['high'] * scale:+.3g}",
                     f"{pair['p']:.3f}"))  # fmt: skip
    yield from table(rows)
