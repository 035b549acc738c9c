"""The training loop: batches in a seeded order, and what is recorded, saved and measured."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from backend.atomic import write_text
from backend.config import RunConfig
from backend.data.demonstration import Demonstration
from backend.errors import StopRequested
from backend.models.language_model import LanguageModel
from backend.training.checkpoints import (
    SavedCheckpoint,
    checkpoint_bytes,
    is_whole,
    load_adapter,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
    saved_checkpoint,
    wait_for_room,
)
from backend.training.contexts import fits
from backend.training.lessons import Judge, judge_of_all
from backend.training.observations import observe
from backend.training.optimizer import make_optimizer
from backend.training.ranks import ALONE, Ranks
from backend.training.recorder import Recorder
from backend.training.row_checks import Rows, tell_of_rows, usable_places
from backend.training.sampled_set import sampled_set
from backend.training.step import SEED_STRIDE, NotFinite, StepReport, training_step
from backend.training.teacher import Teacher
from backend.training.tracing import base_answers, traces_of_step, watch
from backend.training.trainer import Trainer

# Called with the number of finished steps, before the first, along the run, and after the last;
# what it returns is a reason to train no further.
Evaluate = Callable[[int], str | None]


def make_trainer(
    model: LanguageModel,
    config: RunConfig,
    start_from: Path | None,
    *,
    teach_from: Path | None = None,
    judge: Judge | None = None,
    ranks: Ranks = ALONE,
) -> Trainer:
    """A trainer at step 0: a fresh adapter, or that of the run it starts from.

    ``teach_from`` is the checkpoint of the run that teaches; ``judge`` scores rollouts, of all
    processes that train the run in the first one.
    """
    model.add_adapter(config.adapter, config.seed)
    if start_from is not None:
        load_adapter(model, start_from)
    optimizer, scheduler = make_optimizer(model, config.optimizer, config.steps)
    teacher = Teacher(model, config.teacher, teach_from)
    judge = judge_of_all(judge, ranks)
    return Trainer(config, model, teacher, optimizer, scheduler, judge, ranks=ranks)


def train(
    trainer: Trainer, rows: Rows, recorder: Recorder, checkpoints: Path, evaluate: Evaluate
) -> int:
    """Trains to the configured step, from the newest whole checkpoint; returns the steps done.

    Several processes call it alike; ``recorder`` and ``evaluate`` count in the first one. Raises
    StopRequested, with a checkpoint left behind, when the user wants the run to end.
    """
    config, ranks = trainer.config, trainer.ranks
    if config.teacher.context == "several":
        trainer = replace(trainer, others=tuple(rows.training[: config.teacher.examples + 1]))
    fitting = usable = usable_places(trainer, rows)
    if "sampled" in config.rollout.source:
        # Before a checkpoint is loaded: they are the answers of the model that the run starts from.
        trainer, usable = _with_samples(trainer, rows, usable, recorder, checkpoints)
    done = resume(trainer, recorder, checkpoints)
    watched = _Watch(trainer, rows.held_out, recorder)
    reason = None
    if done == 0:
        tell_of_rows(trainer, rows, fitting, recorder)
        evaluate(0)
        watched.look(0)
    elif _is_point_of_curve(config, done):
        # The attempt before may have ended while it was being evaluated.
        reason = ranks.agree(evaluate(done))
    started, first = time.monotonic(), done
    saved_s = started
    while done < config.steps and reason is None:
        if ranks.agree(recorder.stop_requested()):
            _save(trainer, done, checkpoints, recorder)
            raise StopRequested(f"stopped after step {done} of {config.steps}")
        batch = batch_of_step(rows.training, config, done, usable)
        report = _one_step(trainer, batch, recorder, done, checkpoints)
        done += 1
        pace_s = (time.monotonic() - started) / (done - first)
        recorder.progress(done, config.steps, pace_s * (config.steps - done), "training")
        if _due(config.traces.every, done, config.steps):
            for trace in traces_of_step(trainer, report, done, config.traces.sampled):
                recorder.trace(trace)
            watched.look(done)
        is_point = _is_point_of_curve(config, done)
        if is_point or _is_save_due(config, done, time.monotonic() - saved_s):
            # Before the evaluation, which may be long: a wish to stop then loses nothing.
            _save(trainer, done, checkpoints, recorder)
            saved_s = time.monotonic()
        if is_point:
            reason = ranks.agree(evaluate(done))
    if reason is not None:
        message = f"stopped after step {done} of {config.steps}: {reason}"
        recorder.event("stop_rule", message, level="warning", step=done)
        recorder.progress(done, done, 0.0, "training")
    evaluate(done)
    return done


def _with_samples(
    trainer: Trainer,
    rows: Rows,
    usable: Sequence[int],
    recorder: Recorder,
    checkpoints: Path,
) -> tuple[Trainer, list[int]]:
    """The trainer with its sampled answers, and the places of the rows that have one.

    Only the rows that the run can come to are sampled.
    """
    config = trainer.config
    order = [p for p in epoch_order(len(rows.training), config.seed, 0) if p in set(usable)]
    wanted = [rows.training[place] for place in order[: config.steps * config.batch_size]]
    sampled: dict[str, list[int]] = {}
    for writes in (True, False):
        # The first process writes them down, then the others read them.
        if trainer.ranks.is_first == writes:
            sampled = sampled_set(trainer, wanted, recorder, checkpoints)
        trainer.ranks.agree(None)
    places = [place for place in usable if rows.training[place].id in sampled]
    return replace(trainer, sampled=sampled), places


def batch_of_step(
    rows: Sequence[Demonstration],
    config: RunConfig,
    step: int,
    usable: Collection[int] | None = None,
) -> list[Demonstration]:
    """The rows of optimizer step ``step`` (from 0): epoch by epoch, each in its own seeded order.

    The order is that of all ``rows``; those whose place is not ``usable`` (all are without it) are
    passed over. So methods that differ in what is too long see the rest in the same order.
    """
    places = set(range(len(rows)) if usable is None else usable)
    first, past = step * config.batch_size, (step + 1) * config.batch_size
    orders = {
        epoch: [place for place in epoch_order(len(rows), config.seed, epoch) if place in places]
        for epoch in range(first // len(places), (past - 1) // len(places) + 1)
    }
    positions = (divmod(position, len(places)) for position in range(first, past))
    return [rows[orders[epoch][position]] for epoch, position in positions]


def epoch_order(rows: int, seed: int, epoch: int) -> list[int]:
    """A permutation of ``rows`` places, the same for the same seed and epoch."""
    generator = torch.Generator().manual_seed(seed * SEED_STRIDE + epoch)
    return torch.randperm(rows, generator=generator).tolist()


def resume(trainer: Trainer, recorder: Recorder, checkpoints: Path) -> int:
    """Loads the newest whole checkpoint, if any, and returns the steps it had done."""
    newest = newest_checkpoint(checkpoints) if trainer.ranks.is_first else None
    name = trainer.ranks.agree(newest.name if newest else None)
    folder = checkpoints / name if name else None
    done = 0 if folder is None else load_checkpoint(trainer, folder)
    recorder.rewind(done)
    if folder is not None:
        # The attempt that wrote it may have died before it could tell.
        _tell(recorder, saved_checkpoint(folder))
    if done:
        recorder.event("resumed", f"resumed from the checkpoint of step {done}", step=done)
    return done


def _due(every: int, done: int, steps: int) -> bool:
    return every > 0 and (done % every == 0 or done == steps)


def _is_save_due(config: RunConfig, done: int, since_s: float) -> bool:
    is_time = 0 < config.checkpoint_minutes * 60 <= since_s
    return is_time or done % config.checkpoint_every == 0 or done == config.steps


def _is_point_of_curve(config: RunConfig, done: int) -> bool:
    """Whether scores are due between the ends, which are always scored."""
    return _due(config.evaluate.every, done, config.steps) and done < config.steps


def _one_step(
    trainer: Trainer,
    batch: Sequence[Demonstration],
    recorder: Recorder,
    done: int,
    checkpoints: Path,
) -> StepReport:
    started = time.monotonic()
    try:
        report = training_step(trainer, batch, done)
    except NotFinite as error:
        recorder.flush()
        path = checkpoints.parent / f"not-finite-{done + 1:08d}.json"
        write_text(path, json.dumps(inputs_of(error), indent=1))
        recorder.event("not_finite", f"{error.message}; its inputs are in {path}", level="error")
        raise
    values = observe(trainer, report)
    recorder.metrics(done + 1, values | {"step_s": time.monotonic() - started})
    _raise_alarms(trainer, recorder, values, done + 1)
    return report


def _raise_alarms(
    trainer: Trainer, recorder: Recorder, values: Mapping[str, float], step: int
) -> None:
    for alarm in trainer.alarms.watch(values, trainer.config.optimizer.max_grad_norm):
        recorder.event(
            "alarm", f"step {step}: {alarm.message}", level="warning", step=step, alarm=alarm.name
        )


def inputs_of(error: NotFinite) -> dict[str, Any]:
    """What the step read: enough to compute it again by hand."""
    nothing: list[list[int] | None] = [None] * len(error.rows)
    teacher = nothing if error.prompts.teacher is None else error.prompts.teacher
    return {
        "message": error.message,
        "rows": [
            {"id": row.id, "source": source, "student_prompt": ids, "teacher_prompt": seen,
             "completion": completion}
            for row, source, ids, seen, completion in zip(
                error.rows, error.rollouts.sources, error.prompts.student, teacher,
                error.rollouts.completions, strict=True,
            )
        ],
    }  # fmt: skip


def _save(trainer: Trainer, done: int, checkpoints: Path, recorder: Recorder) -> None:
    if not trainer.ranks.is_first or is_whole(checkpoints / f"step-{done:08d}"):
        return
    # A resume does not repeat these steps, so what they told must be stored first.
    recorder.flush()
    wait_for_room(checkpoints, checkpoint_bytes(trainer), recorder)
    _tell(recorder, save_checkpoint(trainer, done, checkpoints))


def _tell(recorder: Recorder, saved: SavedCheckpoint) -> None:
    recorder.checkpoint(saved.step, saved.folder, saved.sha256, saved.size_bytes)


class _Watch:
    """Held-out prompts whose answers are traced again and again; the base answers only once."""

    def __init__(
        self, trainer: Trainer, held_out: Sequence[Demonstration], recorder: Recorder
    ) -> None:
        config, tokenizer = trainer.config, trainer.model.tokenizer
        written = config.evaluate.max_new_tokens
        fitting = (
            row for row in held_out if fits(tokenizer, row, config.teacher, written, trainer.others)
        )
        self._rows = list(itertools.islice(fitting, config.traces.watched))
        self._trainer, self._recorder = trainer, recorder
        self._base: list[str] | None = None

    def look(self, done: int) -> None:
        if not self._rows or not self._trainer.config.traces.every:
            return
        if self._base is None:
            self._base = base_answers(self._trainer, self._rows)
        seen = watch(self._trainer, self._rows, done, self._base)
        for trace in seen.traces:
            self._recorder.trace(trace)
        if done:
            values = {"kl_to_base": seen.kl_to_base}
            self._recorder.metrics(done, values)
            _raise_alarms(self._trainer, self._recorder, values, done)
