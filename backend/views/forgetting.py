"""What runs gained and forgot: scores over steps, paired changes, and the items behind them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from backend.errors import NotFound
from backend.evaluation.probe_names import KL_METRIC, PRIOR, task_probe
from backend.jobs.documents import Document
from backend.jobs.scored_items import items_by_key, paired_scores, scores_by_item
from storage.database import Database
from storage.evaluations import Evaluations
from storage.models import Evaluation, EvaluationItem, Run
from storage.run_heads import run_heads
from storage.runs import Runs
from storage.tasks import Tasks

_FACTS: Final = PRIOR[0]


def scored_runs(database: Database) -> list[Document]:
    """The training runs that have scores, oldest first, as lists and charts name them."""
    heads = run_heads(database, Evaluation, kind="train")
    return [
        {**head._asdict(), "task": head.task.split("@")[0],
         "created_at": head.created_at.isoformat()}
        for head in reversed(heads)
    ]  # fmt: skip


def scores_version(database: Database, ids: Sequence[str]) -> str:
    """Changes whenever one of the runs has a new score or another state."""
    told = Runs(database).states(ids), Evaluations(database).ids_of_runs(ids)
    return hashlib.sha256(repr(told).encode()).hexdigest()


def forgetting_document(database: Database, ids: Sequence[str]) -> Document:
    """``probes`` in the order to show them, ``curves`` by run and probe, and ``changes``.

    A curve has the points ``along`` the way, of the same few items at each step, and those of the
    ``whole`` probe before and after. A change is paired over the items of the whole probe.
    ``finished`` names the runs with final scores. Raises NotFound.
    """
    runs = _runs(database, ids)
    scores = {run.id: Evaluations(database).of_run(run.id) for run in runs}
    changes = [change for run in runs for change in _changes(database, run, scores[run.id])]
    return {
        "runs": _run_documents(database, runs),
        "probes": _probes(runs, [found for each in scores.values() for found in each]),
        "curves": {run.id: _curves(scores[run.id]) for run in runs},
        "changes": changes,
        "finished": _finished(runs, changes),
    }


def changed_items(database: Database, ids: Sequence[str], probe: str) -> list[Document]:
    """For each run the items that it knew before and gets wrong now, and those it has learned."""
    found = []
    for run in _runs(database, ids):
        ends = _ends(Evaluations(database).of_run(run.id))
        for (name, _), (first, last) in ends.items():
            if name == probe and first is not last:
                before, after = items_by_key(database, first), items_by_key(database, last)
                forgot = [i for i in before if i in after and _fell(before[i], after[i])]
                learned = [i for i in before if i in after and _fell(after[i], before[i])]
                found.append(
                    {
                        "run": run.id,
                        "n": len(before),
                        "forgot": [_item(before[i], after[i]) for i in forgot],
                        "learned": [_item(before[i], after[i]) for i in learned],
                    }
                )
    return found


def _runs(database: Database, ids: Sequence[str]) -> list[Run]:
    """The training runs with these ids, in the order in which they were queued."""
    found = [Runs(database).get(run_id) for run_id in dict.fromkeys(ids)]
    for run_id, run in zip(dict.fromkeys(ids), found, strict=True):
        if run is None or run.kind != "train":
            raise NotFound(
                f'there is no training run "{run_id}"',
                where="runs",
                remedy="choose runs of the list",
            )
    return sorted((run for run in found if run is not None), key=lambda run: run.seq)


def _run_documents(database: Database, runs: Sequence[Run]) -> list[Document]:
    names = Tasks(database).names([run.task_version_id for run in runs if run.task_version_id])
    return [
        {
            "id": run.id,
            "name": run.name,
            "method": run.method,
            "state": run.state,
            "task": names.get(
                run.task_version_id or "", str(run.config.get("task", "")).split("@")[0]
            ),
            "group": run.group_id or run.id,
            "steps": run.total_steps,
            "seed": run.config.get("seed"),
            "starts_from": run.config.get("start_from"),
            "created_at": run.created_at.isoformat(),
        }
        for run in runs
    ]


def _probes(runs: Sequence[Run], evaluations: Sequence[Evaluation]) -> list[Document]:
    """Each probe once: the runs' own tasks, prior knowledge, other tasks, distances in nats."""
    own = {_own_probe(run) for run in runs}

    def place(probe: tuple[str, str]) -> tuple[Any, ...]:
        name, metric = probe
        known = PRIOR.index(name) if name in PRIOR else len(PRIOR)
        return (metric == KL_METRIC, name not in own, name.startswith("task:"), known, name)

    found = {(each.probe, each.metric) for each in evaluations}
    return [
        {
            "name": name,
            "metric": metric,
            "is_share": metric != KL_METRIC,
            "part": "task" if name in own else "other" if name.startswith("task:") else "prior",
        }
        for name, metric in sorted(found, key=place)
    ]


def _curves(evaluations: Sequence[Evaluation]) -> dict[str, dict[str, list[Document]]]:
    curves: dict[str, dict[str, list[Document]]] = {}
    for found in sorted(evaluations, key=lambda each: each.step):
        curve = curves.setdefault(found.probe, {"along": [], "whole": []})
        point = {key: getattr(found, key) for key in ("step", "score", "low", "high", "n")}
        curve["along" if found.subset else "whole"].append(point)
    return curves


def _ends(
    evaluations: Sequence[Evaluation],
) -> dict[tuple[str, str], tuple[Evaluation, Evaluation]]:
    """The first and last whole evaluation of each probe that was scored before the first step."""
    ends: dict[tuple[str, str], tuple[Evaluation, Evaluation]] = {}
    for found in sorted((e for e in evaluations if not e.subset), key=lambda each: each.step):
        key = (found.probe, found.metric)
        if key in ends:
            ends[key] = (ends[key][0], found)
        elif found.step == 0:
            ends[key] = (found, found)
    return ends


def _changes(database: Database, run: Run, evaluations: Sequence[Evaluation]) -> list[Document]:
    changes = []
    for (probe, metric), (first, last) in _ends(evaluations).items():
        if first is last:
            continue
        before, after = (scores_by_item(database, each) for each in (first, last))
        difference = paired_scores(before, after)
        if difference is None:
            continue
        changes.append(
            {"run": run.id, "probe": probe, "metric": metric, "step": last.step,
             "is_share": metric != KL_METRIC, "before": first.score, "after": last.score,
             **asdict(difference)}
        )  # fmt: skip
    return changes


def _finished(runs: Sequence[Run], changes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Runs whose task and prior facts were scored before the first and after the last step."""
    scored = {(each["run"], each["probe"], each["step"]) for each in changes}
    return [
        run.id
        for run in runs
        if all((run.id, probe, run.total_steps) in scored for probe in (_own_probe(run), _FACTS))
    ]


def _own_probe(run: Run) -> str:
    return task_probe(str(run.config.get("task")))


def _fell(first: EvaluationItem, second: EvaluationItem) -> bool:
    return first.score >= 0.5 > second.score


def _item(before: EvaluationItem, after: EvaluationItem) -> Document:
    # A check's rule is written for a program; what it found wrong is written for people.
    expected = before.expected if not before.expected.startswith('{"kind"') else ""
    return {
        "id": before.item_id,
        "prompt": before.prompt,
        "expected": expected,
        "before": before.answer,
        "after": after.answer,
        "reason": after.reason,
    }
