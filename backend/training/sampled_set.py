"""Answers that the model samples once, before it is trained on them: offline self-training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from backend.atomic import write_text
from backend.data.demonstration import Demonstration
from backend.errors import DataError, StopRequested
from backend.training.contexts import read_prompts
from backend.training.generation import generate
from backend.training.recorder import Recorder
from backend.training.rollouts import sampling_at
from backend.training.step import step_generator
from backend.training.trainer import Trainer

NAME: Final = "sampled.json"
ROWS_AT_ONCE: Final = 32


def sampled_set(
    trainer: Trainer, rows: Sequence[Demonstration], recorder: Recorder, folder: Path
) -> dict[str, list[int]]:
    """Completions by row id, of the rows whose answer is no stub; the same after a resume.

    They are written with the weights that the run starts from, and kept in ``folder``. Raises
    DataError where none is left.
    """
    stored = folder / NAME
    if stored.is_file():
        document: dict[str, Any] = json.loads(stored.read_text("utf-8"))
        return {row: list(ids) for row, ids in document["completions"].items()}
    written = _sample(trainer, rows, recorder)
    decode, least = trainer.model.tokenizer.decode, trainer.config.rollout.min_lines
    kept = {row: ids for row, ids in written.items() if lines_of(decode(ids)) >= least}
    if not kept:
        raise DataError(
            f"all {len(written)} sampled answers are empty or have fewer than {least} lines",
            where="rollout.min_lines",
            remedy="lower rollout.min_lines or raise rollout.max_new_tokens",
        )
    recorder.event(
        "sampled",
        f"{len(kept)} of {len(written)} sampled answers are kept; the others are empty or have "
        f"fewer than {least} lines",
        kept=len(kept),
        sampled=len(written),
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_text(stored, json.dumps({"completions": kept}))
    return kept


def lines_of(answer: str) -> int:
    """How many lines say something."""
    return sum(bool(line.strip()) for line in answer.splitlines())


def _sample(
    trainer: Trainer, rows: Sequence[Demonstration], recorder: Recorder
) -> dict[str, list[int]]:
    config, model = trainer.config, trainer.model
    prompts = read_prompts(model.tokenizer, rows, config.teacher).student
    written: list[list[int]] = []
    for start in range(0, len(rows), ROWS_AT_ONCE):
        if recorder.stop_requested():
            raise StopRequested("stopped while sampling, before the first step")
        # Numbers of steps beyond the last, so that no step of the run draws the same.
        generator = step_generator(model, config.seed, config.steps + start)
        part = prompts[start : start + ROWS_AT_ONCE]
        with model.merged():
            written += generate(model, part, sampling_at(config.rollout, 0), generator)
        recorder.progress(0, config.steps, None, "sampling")
    return {row.id: ids for row, ids in zip(rows, written, strict=True)}
