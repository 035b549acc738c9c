"""Runs compared: on the very same items, in a table that names the runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from backend.bootstrap import build_lab
from backend.lab import Lab
from backend.methods import resolve
from backend.settings import Settings
from storage.claims import Claim, Claims
from storage.evaluations import put_evaluation
from storage.models import Evaluation, EvaluationItem, Run
from storage.runs import Runs
from tests.cli import contract
from tests.cli.command import Outcome

Scored = Callable[[str, Sequence[tuple[str, str, str, float]]], str]


@pytest.fixture
def scored(home: Path) -> Scored:
    """Stores a finished run whose probe of another task gave these items these scores."""
    lab: Lab = build_lab(Settings(home=home))

    def add(name: str, items: Sequence[tuple[str, str, str, float]]) -> str:
        config = resolve({"task": "t", "method": "sft", "steps": 3}).as_document()
        run = Run(name=name, kind="train", config=config, total_steps=3, model="m")
        Runs(lab.database).enqueue(run)
        Claims(lab.database).ensure_slots(["cpu:0"])
        claimed = Claims(lab.database).claim("me")
        assert claimed is not None
        Claims(lab.database).finish(Claim(run.id, "me", 1), "done")
        evaluation = Evaluation(
            run_id=run.id, step=3, probe="task:other", metric="exact", score=0.5, n=len(items),
            low=0.0, high=1.0, subset=False, fingerprint="", details={},
        )  # fmt: skip
        rows = [
            EvaluationItem(item_id=i, prompt=p, expected=e, answer="", score=s)
            for i, p, e, s in items
        ]
        with lab.database.write() as session:
            put_evaluation(session, evaluation, rows)
        return run.id

    return add


def test_items_are_paired_by_prompt_and_answer_too(
    call: Callable[..., Outcome], scored: Scored
) -> None:
    """Another version of the task may give an id to another row."""
    first = scored("a", [("1", "p", "e", 0.0), ("2", "p2", "e", 0.0), ("3", "p3", "e", 0.0)])
    other = scored("b", [("1", "p", "e", 1.0), ("2", "new", "e", 0.0), ("3", "p3", "new", 0.0)])
    compared = call("compare", first, other, "--json").done()
    contract.check(contract.Comparison, compared)
    (pair,) = compared["pairs"]
    assert (pair["n"], pair["difference"]) == (1, 1.0)


def test_items_that_only_share_their_ids_are_no_pair(
    call: Callable[..., Outcome], scored: Scored
) -> None:
    first, other = (scored(name, [("1", f"p of {name}", "e", 0.0)]) for name in "ab")
    compared = call("compare", first, other, "--json").done()
    assert compared["pairs"] == []
    assert not compared["comparable"]


def test_the_table_names_the_run_of_each_line(call: Callable[..., Outcome], scored: Scored) -> None:
    items = [("1", "p", "e", 0.0), ("2", "p2", "e", 1.0)]
    ids = [scored(name, items) for name in ("plain", "careful", "careless")]
    lines = call("compare", *ids).out.splitlines()
    (head,) = [line for line in lines if line.startswith("run ")]
    assert f"its score minus that of plain ({ids[0][:8]})" in head
    told = [line for line in lines if "task:other" in line]
    assert [line.split("  ")[0] for line in told] == [
        f"careful ({ids[1][:8]})",
        f"careless ({ids[2][:8]})",
    ]
