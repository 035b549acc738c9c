"""Runs with traces and scores, put into a lab's tables as workers would leave them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from backend.evaluation.intervals import interval
from storage.database import Database
from storage.evaluations import put_evaluation
from storage.models import Evaluation, EvaluationItem, Run, TaskSequence, Trace, new_id
from storage.sequences import Sequences
from storage.tasks import NewVersion, Tasks
from storage.traces import pack, put_trace, trace_id

ROWS = tuple(
    ("held_out" if i > 2 else "training",
     {"id": f"row-{i}", "row": i, "demonstration": f"the answer {i}",
      "messages": [{"role": "user", "content": f"question {i}"}]})
    for i in range(1, 5)
)  # fmt: skip


def add_run(database: Database, name: str = "a run", **values: Any) -> Run:
    """A finished training run on the task ``lights``; it never stands in the queue."""
    task = values.pop("task", "lights")
    version, _ = Tasks(database).add_version(
        task, NewVersion(f"content of {task}", "exact", {}, {}, {}, ROWS)
    )
    config = {"task": f"{task}@1", "model": "m", "seed": 0, **values.pop("config", {})}
    with database.write() as session:
        seq = 1 + max((run.seq for run in session.query(Run)), default=0)
        run = Run(
            id=values.pop("id", new_id()), seq=seq, name=name, kind=values.pop("kind", "train"),
            state=values.pop("state", "done"), config=config, task_version_id=version.id,
            method=values.pop("method", "sdft"), total_steps=10, step=10, **values,
        )  # fmt: skip
        session.add(run)
    return run


def add_trace(
    database: Database,
    run: Run,
    step: int,
    position: int = 0,
    *,
    kind: str = "watched",
    ids: Sequence[int] = (5, 6, 7),
    divergences: Sequence[float] = (0.1, 2.0, 0.3),
    weights: Sequence[float] | None = None,
    has_teacher: bool = True,
    **values: Any,
) -> str:
    """A trace whose roles each prefer the token after the written one; returns its id."""
    length = len(ids)
    token_ids = np.asarray(ids, np.int32)
    top_ids = np.asarray([[i + 1, i, 0, 1, 2] for i in ids], np.int32).reshape(length, 5)
    top = np.log(np.tile([0.5, 0.25, 0.1, 0.1, 0.05], (length, 1))).astype(np.float32)
    own = np.log(np.full(length, 0.25)).astype(np.float32)
    arrays: dict[str, Any] = {
        "token_ids_T": token_ids,
        "weights_T": np.asarray(weights if weights is not None else [1.0] * length, np.float32),
        "divergence_T": np.asarray(divergences, np.float32),
    }
    for role in ("student", "teacher") if has_teacher else ("student",):
        arrays |= {
            f"{role}_logprobs_T": own,
            f"{role}_entropy_T": np.ones(length, np.float32),
            f"{role}_top_ids_T5": top_ids,
            f"{role}_top_logprobs_T5": top,
        }
    trace = {
        "demonstration_id": f"row-{position + 3}",
        "source": "student",
        "student_prompt": "<|im_start|>user\nquestion",
        "teacher_prompt": "<|im_start|>user\nan example, question" if has_teacher else None,
        "completion": "a completion",
        "demonstration": "light.on()",
        "teacher_answer": None,
        "base_answer": None,
        "mean_divergence": float(np.mean(divergences)) if length else None,
        **values,
    }
    key = trace_id(run.id, step, kind, position)
    with database.write() as session:
        put_trace(
            session,
            Trace(id=key, run_id=run.id, step=step, kind=kind, position=position, tokens=length,
                  blob=pack(arrays), bytes=1, **trace),
        )  # fmt: skip
    return key


def add_scores(
    database: Database,
    run: Run,
    probe: str,
    step: int,
    scores: Mapping[str, float],
    *,
    subset: bool = False,
    metric: str = "exact",
) -> None:
    """A probe's scores by item at one step; the answer tells step and score."""
    found = interval(list(scores.values()), is_proportion=metric != "kl_nats")
    items = [
        EvaluationItem(item_id=item, prompt=f"asks {item}", expected="yes", score=score,
                       answer=f"{score:g} at {step}")
        for item, score in scores.items()
    ]  # fmt: skip
    evaluation = Evaluation(
        run_id=run.id, step=step, probe=probe, metric=metric, score=found.score, n=found.n,
        low=found.low, high=found.high, subset=subset, fingerprint="", details={},
    )  # fmt: skip
    with database.write() as session:
        put_evaluation(session, evaluation, items)


def add_sequence(
    database: Database,
    tasks: Sequence[str],
    arms: Mapping[str, Sequence[Sequence[float] | None]],
    name: str = "",
) -> str:
    """A sequence whose arms have these scores before the first stage and after each; its id.

    Of ten items so many are right; None is a stage that is still queued.
    """
    sequence_id, plan = new_id(), []
    for arm, (before, *after) in arms.items():
        stages: list[Run] = []
        for place, scores in enumerate(after):
            state = "queued" if scores is None else "done"
            run = add_run(database, f"{arm} · {place + 1}", task=tasks[place], method=arm,
                          state=state, group_id=sequence_id)  # fmt: skip
            points = [(0, before if place == 0 else after[place - 1]), (10, scores)]
            for step, found in points:
                for task, score in zip(tasks, found or (), strict=False):
                    items = {f"item {i}": float(i < 10 * score) for i in range(10)}
                    add_scores(database, run, f"task:{task}", step, items)
            stages.append(run)
        plan.append({"name": arm, "method": arm, "seed": 1, "stages": [run.id for run in stages]})
    document = {"name": name, "config": {}, "tasks": [f"{task}@1" for task in tasks], "arms": plan}
    made = TaskSequence(id=sequence_id, fingerprint=sequence_id, document=document)
    Sequences(database).add(made, [])
    return sequence_id
