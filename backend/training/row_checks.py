"""Which rows of a task a run can use, and what it says of the rest before the first step."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from backend.data.demonstration import Demonstration
from backend.data.split import prompt_key
from backend.errors import DataError
from backend.method_checks import warnings
from backend.text.contexts import Lesson, student_messages, teacher_messages
from backend.training.contexts import fits
from backend.training.recorder import Recorder
from backend.training.rollouts import demonstration_ids, longest_completion
from backend.training.trainer import Trainer

# Of the median demonstration: a longer skip masks the skill itself.
LONGEST_SKIP: Final = 0.1
# Rows whose prompts are looked through: rendering all of a large task would take a while.
LOOKED_AT: Final = 64


@dataclass(frozen=True)
class Rows:
    """A task's two sides: what is trained on, and what never is."""

    training: Sequence[Demonstration]
    held_out: Sequence[Demonstration]


def usable_places(trainer: Trainer, rows: Rows) -> list[int]:
    """Places of the training rows that fit; nothing is cut. Refuses held-out rows among them."""
    held_out = {prompt_key(row) for row in rows.held_out}
    leaked = [row for row in rows.training if prompt_key(row) in held_out]
    if leaked:
        raise DataError(
            f"{len(leaked)} held-out prompts stand among the training rows (row {leaked[0].row})",
            where="task",
            remedy="add the task again so that it is split anew",
        )
    usable = [i for i, row in enumerate(rows.training) if fits_model(trainer, row)]
    if not usable:
        raise DataError(
            f"all {len(rows.training)} training rows are too long for {trainer.model.name}, which "
            f"reads {trainer.model.context_length} tokens, prompt and completion together",
            where="task",
            remedy="shorten the prompts or demonstrations, lower rollout.max_new_tokens, or choose "
            "another context",
        )
    return usable


def tell_of_rows(trainer: Trainer, rows: Rows, usable: Sequence[int], recorder: Recorder) -> None:
    """Events for what is known to go wrong with the run's choices, and for rows left out."""
    for sentence in warnings(trainer.config):
        recorder.event("choice", sentence, level="warning")
    skipped = len(rows.training) - len(usable)
    if skipped:
        recorder.event(
            "rows_skipped",
            f"{skipped} of {len(rows.training)} training rows are too long for the model "
            "and are left out",
            level="warning",
            skipped=skipped,
        )
    _tell_of_skip(trainer, [rows.training[i] for i in usable], recorder)
    _tell_of_template(trainer, [rows.training[i] for i in usable[:LOOKED_AT]], recorder)


def fits_model(trainer: Trainer, row: Demonstration) -> bool:
    """Whether the model can read both roles' prompts and the row's longest completion."""
    config, model = trainer.config, trainer.model
    longest = longest_completion(model, config, row)
    return fits(model.tokenizer, row, config.teacher, longest, trainer.others)


def _tell_of_skip(trainer: Trainer, rows: Sequence[Demonstration], recorder: Recorder) -> None:
    """Says where demonstrations are short beside the tokens that the loss skips."""
    skip = trainer.config.token_weights.skip_first
    median = statistics.median(len(demonstration_ids(trainer.model, row)) for row in rows)
    if skip > LONGEST_SKIP * median:
        recorder.event(
            "skip_is_long",
            f"token_weights.skip_first leaves out {skip} tokens of answers whose median is "
            f"{median:.0f}: where answers are short this masks the skill itself; set it to 0",
            level="warning",
        )


def _tell_of_template(trainer: Trainer, rows: Sequence[Demonstration], recorder: Recorder) -> None:
    """Says where the model's chat template does not show what stands in a turn.

    Those of thinking models leave out how an earlier answer was thought of, so that a form which
    shows the demonstration as such an answer shows a part of it.
    """
    tokenizer, teacher = trainer.model.tokenizer, trainer.config.teacher
    for role in ("student", "teacher") if teacher.weights != "none" else ("student",):
        cut = []
        for row in rows:
            turns = student_messages(row)
            if role == "teacher":
                turns = teacher_messages(teacher, row, Lesson(trainer.others))
            text = tokenizer.apply_chat(turns)
            if any(turn.content.strip() not in text for turn in turns):
                cut.append(row.row)
        if cut:
            recorder.event(
                "template_cuts",
                f"the model's chat template leaves out a part of what the {role} is to read in "
                f"{len(cut)} of {len(rows)} rows looked at (first: row {cut[0]}), such as the "
                "thinking of an earlier answer; choose a context that shows the demonstration in "
                "the question, such as paper, or take the thinking out of the rows",
                level="warning",
                rows=len(cut),
            )
