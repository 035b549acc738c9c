"""``sdlab demo``: the whole loop on a small real model, in minutes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from app.cli.output import json_option, open_lab, percent, show, table, tell
from app.cli.premise import premise_lines
from app.cli.serve import asked_to_end, show_in_browser, start
from app.cli.waiting import must_be_done, wait_for
from backend.demo_plans import FULL, QUICK, Plan
from backend.errors import StateError
from backend.lab import Lab

if TYPE_CHECKING:
    from app.server import Server


@click.command()
@click.option("--quick", is_flag=True, help="In three minutes: shows the loop, not the effect.")
@click.option("--no-serve", is_flag=True, help="Do not open the lab in a browser.")
@json_option
def demo(quick: bool, no_serve: bool, as_json: bool) -> None:
    """Train a small model by SFT and by self-distillation, and compare what they forgot."""
    plan = QUICK if quick else FULL
    with open_lab() as lab:
        is_watched = sys.stdout.isatty() and not no_serve and not as_json
        server = _open(lab) if is_watched else None
        tell(plan.introduction)
        tasks = lab.add_bundled_tasks()
        tell("tasks: " + ", ".join(f"{t['name']} ({t['rows']['training']} rows)" for t in tasks))
        show(_run(lab, plan), as_json, lambda document: _lines(document, plan))
        if server is not None:
            tell(f"the lab stays open at {server.url} until you press Ctrl-C")
            asked_to_end().wait()
            server.close()


def _open(lab: Lab) -> Server | None:
    """The lab in a browser while its runs learn; None where a server has the lab already."""
    try:
        server = start(lab)
    except StateError as error:
        tell(str(error))
        return None
    show_in_browser(server)
    return server


def _run(lab: Lab, plan: Plan) -> dict[str, Any]:
    configs = [config for run in plan.runs for config in lab.configure(run)]
    for config in configs:
        tell(f"  {config.name}: {lab.estimate(config)['words']}")
    premise_id = lab.premise(plan.premise)
    ids = lab.train(configs)
    premise, *runs = [must_be_done(document) for document in wait_for(lab, [premise_id, *ids])]
    folder = lab.settings.home / "demo"
    adapters = []
    for run in runs:
        target = folder / f"{run['name'].replace(' ', '-')}-{run['id'][:8]}.zip"
        adapters.append(lab.export(run["id"], target)["path"])
    return {
        "runs": runs,
        "adapters": adapters,
        "table": [row for run in runs for row in _scores(run)],
        "premise": premise["result"]["premise"],
        "findings": lab.findings([run["id"] for run in runs]),
    }


def _scores(run: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Before and after of each probe."""
    whole = [found for found in run["evaluations"] if not found["subset"]]
    before = {found["probe"]: found for found in whole if found["step"] == 0}
    for found in whole:
        if found["step"] == run["progress"]["total"]:
            yield {
                "method": run["name"],
                "probe": found["probe"],
                "metric": found["metric"],
                "before": _score(before[found["probe"]]),
                "after": _score(found),
            }


def _score(found: dict[str, Any]) -> dict[str, Any]:
    return {key: found[key] for key in ("score", "n", "low", "high", "metric")}


def _lines(document: dict[str, Any], plan: Plan) -> Iterator[str]:
    yield from premise_lines(document["premise"])
    yield ""
    rows = [("run", "probe", "before", "after")]
    for row in document["table"]:
        rows.append((row["method"], row["probe"], percent(row["before"]), percent(row["after"])))
    yield from table(rows)
    yield ""
    yield from document["findings"]
    yield ""
    yield from (f"adapter: {path}" for path in document["adapters"])
    if plan.caveat:
        yield plan.caveat
    yield f"look further: sdlab show {document['runs'][-1]['id'][:8]}"
