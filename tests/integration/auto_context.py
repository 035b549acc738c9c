"""Which context form `auto` picks with the bundled model on the bundled tasks: `make auto-context`.

It takes minutes, and so stands beside the tests. It fails where another form than an earlier turn
wins on the demo's task, or wins there without a go.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.bootstrap import build_lab
from backend.bundled import TASKS
from backend.demo_plans import TASK
from backend.lab import Lab
from backend.settings import Settings

EXPECTED = frozenset({"earlier-turn", "earlier-turn-twice"})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=12)
    parser.add_argument("--tasks", nargs="+", default=[TASK], choices=TASKS)
    parser.add_argument("--home", type=Path, help="a lab that holds the converted model already")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        lab = build_lab(Settings(home=chosen.home or Path(scratch)))
        lab.add_bundled_tasks()
        found = {task: check(lab, task, chosen.rows) for task in chosen.tasks}
        lab.close()
    for task, premise in found.items():
        for line in table(task, premise):
            print(line)
    premise = found.get(TASK)
    has_failed = premise is not None and (
        premise["context"] not in EXPECTED or premise["verdict"] != "go"
    )
    return int(has_failed)


def check(lab: Lab, task: str, rows: int) -> Any:
    document = {"task": task, "context": "auto", "limit": rows, "max_new_tokens": 33}
    (job,) = lab.wait([lab.premise(document)])
    if job["state"] != "done":
        raise SystemExit(f"{task}: {job['error']}")
    return job["result"]["premise"]


def table(task: str, premise: Any) -> Iterator[str]:
    """The figures as docs/trials.md has them."""
    yield f"{task}: {premise['sentence']}"
    yield "| form | verdict | exact | nats | P(whole demonstration) |"
    yield "|---|---|---|---|---|"
    roles = {"student": ("", premise["student"])} | {
        name: (form["verdict"], form["teacher"]) for name, form in premise["by_context"].items()
    }
    for name, (verdict, role) in roles.items():
        yield (
            f"| {name} | {verdict} | {role['score'] * role['n']:.0f}/{role['n']} | "
            f"{role['nats_per_token']:.2f} | {role['whole_probability']:.3f} |"
        )


if __name__ == "__main__":
    sys.exit(main())
