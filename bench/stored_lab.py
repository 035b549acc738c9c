"""A lab with finished runs, as workers would have left them: enough for every page to show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np

from backend.bootstrap import build_lab
from backend.config import DEFAULT_MODEL, Settings
from backend.data.demonstration import Demonstration
from backend.demo_plans import FULL, TASK
from backend.evaluation.intervals import interval
from backend.jobs.tasks import demonstrations, find_task
from backend.lab import Lab
from backend.models.materialise import local_folder
from backend.text.tokenizer import TextTokenizer
from storage.evaluations import put_evaluation
from storage.metrics import put_metrics
from storage.models import Evaluation, EvaluationItem, Run, Trace, new_id, now
from storage.traces import pack, put_trace, trace_id

GROUPS: Final = 4
STEPS: Final = 400
ALONG: Final = 40
TRACED: Final = (0, 200, 400)
WATCHED: Final = 8
TOKENS: Final = 1000
METRICS: Final = (
    "loss", "kl_to_base", "entropy", "completion_tokens", "grad_norm", "learning_rate",
    "clipped_fraction", "counted_fraction", "student_share", "step_s",
)  # fmt: skip
# Probe, metric, items: those of the demo.
PROBES: Final = (
    ("task:tickets", "exact", 64),
    ("task:home-commands", "exact", 8),
    ("task:house-style", "parts", 8),
    ("prior:facts", "accuracy", 277),
    ("prior:instructions", "passed", 49),
    ("prior:kl", "kl_nats", 30),
)
SUBSET: Final = 32


@dataclass(frozen=True)
class StoredLab:
    """What the pages' addresses name; the last run is one with a teacher."""

    home: Path
    runs: tuple[str, ...]


def fill_lab(home: Path, models: Path | None = None) -> StoredLab:
    """Makes a lab at ``home`` with the demo's three runs, several times over.

    ``models`` is the models/ folder of another lab; without it the bundled model is converted,
    which takes 40 s.
    """
    if models is not None:
        (home / "models").symlink_to(models.resolve())
    folder = local_folder(DEFAULT_MODEL, home)
    lab = build_lab(Settings(home=home))
    try:
        lab.add_bundled_tasks()
        rng = np.random.default_rng(0)
        text = TextTokenizer(folder)
        runs = [
            _finished_run(lab, {**plan, "steps": STEPS}, group, rng, text)
            for group in (new_id() for _ in range(GROUPS))
            for plan in FULL.runs
        ]
    finally:
        lab.close()
    return StoredLab(home, tuple(runs))


def _finished_run(
    lab: Lab,
    document: Mapping[str, Any],
    group: str,
    rng: np.random.Generator,
    text: TextTokenizer,
) -> str:
    """Queues a run where nobody supervises, and puts it among the finished ones."""
    (run_id,) = lab.train(lab.configure(document), group)
    version = find_task(lab.database, document["task"]).version.id
    watched = demonstrations(lab.database, version, "held_out")[:WATCHED]
    with lab.database.write() as session:
        run = session.get_one(Run, run_id)
        run.state, run.step = "done", STEPS
        run.started_at, run.ended_at = now() - timedelta(hours=1), now()
        points = [
            (key, step, float(value))
            for key in METRICS
            for step, value in enumerate(rng.gamma(2.0, 0.5, STEPS), start=1)
        ]
        put_metrics(session, run_id, points)
        for step in range(0, STEPS + 1, ALONG):
            for probe in PROBES:
                if step in (0, STEPS):
                    put_evaluation(session, *_score(run_id, step, probe, rng))
                if probe[0] in (f"task:{TASK}", "prior:facts"):
                    along = (*probe[:2], SUBSET)
                    put_evaluation(session, *_score(run_id, step, along, rng, subset=True))
        for step in TRACED:
            for position, row in enumerate(watched):
                put_trace(session, _trace(run_id, step, position, row, rng, text))
    return run_id


def _score(
    run_id: str,
    step: int,
    probe: tuple[str, str, int],
    rng: np.random.Generator,
    *,
    subset: bool = False,
) -> tuple[Evaluation, list[EvaluationItem]]:
    name, metric, items = probe
    is_share = metric != "kl_nats"
    right = 0.3 + 0.4 * step / STEPS
    scores = [float(x) for x in (rng.random(items) < right if is_share else rng.random(items))]
    found = interval(scores, is_proportion=is_share)
    evaluation = Evaluation(
        run_id=run_id, step=step, probe=name, metric=metric, score=found.score, n=found.n,
        low=found.low, high=found.high, subset=subset, fingerprint="", details={},
    )  # fmt: skip
    return evaluation, [
        EvaluationItem(item_id=f"{name}-{i}", prompt=f"A question of {name}, number {i}",
                       expected="yes", answer="yes" if score else "no", score=score)
        for i, score in enumerate(scores)
    ]  # fmt: skip


def _trace(
    run_id: str,
    step: int,
    position: int,
    row: Demonstration,
    rng: np.random.Generator,
    text: TextTokenizer,
) -> Trace:
    """A rollout of 1,000 tokens; the five that each role prefers are drawn from 4,000 tokens."""
    answer = f"{row.demonstration}\n"
    ids = (text.encode(answer) * TOKENS)[:TOKENS]
    asked = text.apply_chat(row.messages)
    divergences = rng.gamma(0.3, 1.0, TOKENS).astype(np.float32)
    arrays: dict[str, Any] = {
        "token_ids_T": np.asarray(ids, np.int32),
        "weights_T": np.ones(TOKENS, np.float32),
        "divergence_T": divergences,
    }
    for role in ("student", "teacher"):
        logprobs = np.sort(np.log(rng.dirichlet(np.full(6, 0.5), TOKENS) + 1e-6))[:, ::-1]
        arrays |= {
            f"{role}_logprobs_T": logprobs[:, 0].astype(np.float32),
            f"{role}_entropy_T": rng.gamma(1.0, 1.0, TOKENS).astype(np.float32),
            f"{role}_top_ids_T5": rng.integers(100, 4100, (TOKENS, 5), dtype=np.int32),
            f"{role}_top_logprobs_T5": logprobs[:, :5].astype(np.float32),
        }
    blob = pack(arrays)
    return Trace(
        id=trace_id(run_id, step, "watched", position), run_id=run_id, step=step, kind="watched",
        position=position, demonstration_id=row.id, source="student",
        student_prompt=asked, teacher_prompt=f"{row.demonstration}\n{asked}",
        completion=text.decode(ids), demonstration=row.demonstration,
        teacher_answer=answer, base_answer=answer, tokens=TOKENS,
        mean_divergence=float(divergences.mean()), bytes=len(blob), blob=blob,
    )  # fmt: skip
