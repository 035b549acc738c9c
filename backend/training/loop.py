"""The training loop: batches in a seeded order, and what is recorded, saved and measured."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import torch

from backend.config import RunConfig
from backend.data.demonstration import Demonstration
from backend.errors import Fault, StopRequested
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
from backend.training.observations import observe
from backend.training.optimizer import make_optimizer
from backend.training.recorder import Recorder
from backend.training.row_checks import Rows, tell_of_rows, usable_places
from backend.training.step import SEED_STRIDE, StepReport, Trainer, training_step
from backend.training.teacher import Teacher
from backend.training.tracing import base_answers, traces_of_step, watch

# Called with the number of finished steps, before the first, along the run, and after the last.
Evaluate = Callable[[int], None]


def make_trainer(model: LanguageModel, config: RunConfig, start_from: Path | None) -> Trainer:
    """A trainer at step 0: a fresh adapter, or that of the run it starts from."""
    model.add_adapter(config.adapter, config.seed)
    if start_from is not None:
        load_adapter(model, start_from)
    optimizer, scheduler = make_optimizer(model, config.optimizer, config.steps)
    return Trainer(config, model, Teacher(model, config.teacher), optimizer, scheduler)


def train(
    trainer: Trainer, rows: Rows, recorder: Recorder, checkpoints: Path, evaluate: Evaluate
) -> int:
    """Trains to the configured step, from the newest whole checkpoint; returns the steps done.

    Raises StopRequested, with a checkpoint left behind, when the user wants the run to end.
    """
    config = trainer.config
    usable = usable_places(trainer, rows)
    done = resume(trainer, recorder, checkpoints)
    watched = _Watch(trainer, rows.held_out, recorder)
    if done == 0:
        tell_of_rows(trainer, rows, usable, recorder)
        evaluate(0)
        watched.look(0)
    elif _is_point_of_curve(config, done):
        # The attempt before may have ended while it was being evaluated.
        evaluate(done)
    started, first = time.monotonic(), done
    saved_s = started
    while done < config.steps:
        if recorder.stop_requested():
            _save(trainer, done, checkpoints, recorder)
            raise StopRequested(f"stopped after step {done} of {config.steps}")
        batch = batch_of_step(rows.training, config, done, usable)
        report = _one_step(trainer, batch, recorder, done)
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
            evaluate(done)
    evaluate(done)
    return done


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
    folder = newest_checkpoint(checkpoints)
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
    trainer: Trainer, batch: Sequence[Demonstration], recorder: Recorder, done: int
) -> StepReport:
    started = time.monotonic()
    report = training_step(trainer, batch, done)
    values = observe(trainer, report) | {"step_s": time.monotonic() - started}
    recorder.metrics(done + 1, values)
    if not math.isfinite(report.loss) or not math.isfinite(report.grad_norm):
        raise Fault(
            f"the loss of step {done + 1} is {report.loss}, its gradient norm {report.grad_norm}",
            where="training",
            remedy="train again with a lower optimizer.learning_rate",
        )
    return report


def _save(trainer: Trainer, done: int, checkpoints: Path, recorder: Recorder) -> None:
    if is_whole(checkpoints / f"step-{done:08d}"):
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
        fitting = (row for row in held_out if fits(tokenizer, row, config.teacher, written))
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
            self._recorder.metrics(done, {"kl_to_base": seen.kl_to_base})
