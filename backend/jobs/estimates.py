"""What a run will take here, before it is queued: its task's lengths, its probes, this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from backend.config import RunConfig
from backend.data.demonstration import Demonstration, Message
from backend.errors import ModelError
from backend.evaluation.probe_names import expand
from backend.jobs.documents import Document
from backend.jobs.tasks import StoredTask, demonstrations, find_task
from backend.methods import resolve
from backend.models.estimate import estimate, in_words, refusal
from backend.models.hardware import hardware_profile
from backend.models.on_disk import folder_on_disk
from backend.models.workload import Lengths, planned_scoring
from backend.settings import Settings
from backend.text.beginnings import common_beginning
from backend.text.contexts import Lesson, student_messages, teacher_messages
from backend.text.tokenizer import tokenizer_of
from storage.database import Database

SAMPLED_ROWS: Final = 64
# English text by the tokenizers of today's models, for models that are not on this disk yet.
CHARACTERS_A_TOKEN: Final = 4.0
TURN_TOKENS: Final = 6
SHORTEST: Final = Lengths(prompt=1, teacher_prompt=0, demonstration=1)
_SMALLEST: Final = {"task": "any", "method": "sft", "steps": 1, "batch_size": 1,
                    "adapter": {"rank": 1}, "rollout": {"max_new_tokens": 1}}  # fmt: skip


def estimate_run(
    database: Database, settings: Settings, config: RunConfig, *, forced: bool = False
) -> Document:
    """Seconds, MiB and the words for them; ``known`` false where the model's size is unknown.

    Raises ModelError or ConfigError for a run that cannot work here.
    """
    stored = find_task(database, config.task)
    lengths = lengths_of(database, settings, config, stored)
    scoring = planned_scoring(
        config, expand(config.evaluate.probes), stored.version.held_out, lengths
    )
    profile = hardware_profile(settings)
    found = estimate(config, lengths, scoring, profile, settings.home)
    if found is None:
        return {"known": False, "words": in_words(None)}
    refused = refusal(found, profile, forced=forced)
    if refused is not None:
        raise refused
    return {"known": True, "words": in_words(found), **asdict(found)}


def lengths_of(
    database: Database, settings: Settings, config: RunConfig, stored: StoredTask
) -> Lengths:
    """How long the rows of the run's task are, by its first ones."""
    rows = demonstrations(database, stored.version.id, "training", SAMPLED_ROWS)
    return _lengths(config, settings, rows)


def check_memory(settings: Settings, model: str) -> None:
    """Raises ModelError for a model that cannot even answer here: its weights do not fit.

    What the smallest step of training needs is hardly more than that.
    """
    profile = hardware_profile(settings)
    found = estimate(smallest(model), SHORTEST, [], profile, settings.home)
    refused = None if found is None else refusal(found, profile, forced=True)
    if refused is not None:
        raise ModelError(refused.message, where="model", remedy="choose a smaller model")


def smallest(model: str) -> RunConfig:
    """The least that a model can be made to do; hardly more than holding it."""
    return resolve(_SMALLEST | {"model": model})


def _lengths(config: RunConfig, settings: Settings, rows: Sequence[Demonstration]) -> Lengths:
    """Lengths in tokens, counted where the tokenizer is on this disk, else guessed."""
    folder = folder_on_disk(config.model, settings.home)
    tokenizer = None if folder is None else tokenizer_of(folder)

    def of_prompt(messages: Sequence[Message]) -> float:
        return len(tokenizer.prompt_ids(messages)) if tokenizer else _guess_prompt(messages)

    def of_beginning() -> int:
        prompts = [tokenizer.prompt_ids(student_messages(row)) for row in rows] if tokenizer else []
        return common_beginning(prompts)

    def of_text(text: str) -> float:
        return len(tokenizer.encode(text)) if tokenizer else len(text) / CHARACTERS_A_TOKEN

    has_teacher = config.teacher.weights != "none"
    # What a group's form will show is not written yet: something as long as a demonstration.
    usual = rows[0].demonstration
    lesson = Lesson(tuple(rows[: config.teacher.examples + 1]), usual, usual)
    shown = [of_text(row.demonstration) for row in rows]
    return Lengths(
        _mean([of_prompt(student_messages(row)) for row in rows]),
        _mean([of_prompt(teacher_messages(config.teacher, row, lesson)) for row in rows])
        if has_teacher
        else 0.0,
        _mean(shown),
        max(shown) + 1,
        of_beginning(),
    )


def _guess_prompt(messages: Sequence[Message]) -> float:
    return sum(len(turn.content) / CHARACTERS_A_TOKEN + TURN_TOKENS for turn in messages)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
