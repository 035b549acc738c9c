"""Completions to train on: the student's, the teacher's, or the demonstration."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from backend.config import RolloutConfig, RolloutSource, RunConfig, Schedule, value_at
from backend.data.demonstration import Demonstration
from backend.models.language_model import LanguageModel
from backend.training.contexts import Prompts
from backend.training.generation import Sampling, write
from backend.training.ranks import ALONE, Ranks
from backend.training.teacher import Teacher
from backend.training.written import Written


@dataclass(frozen=True)
class Rollouts:
    """One completion a row (token ids with the end token), its source, and whether it was cut.

    Demonstrations are never cut: ``max_new_tokens`` is for what a model writes. ``written`` is the
    student's share of them.
    """

    completions: list[list[int]]
    sources: list[RolloutSource]
    clipped: list[bool]
    written: Written | None = field(default=None, compare=False, repr=False)


def roll_out(
    model: LanguageModel,
    teacher: Teacher,
    rows: Sequence[Demonstration],
    prompts: Prompts,
    config: RolloutConfig,
    step: int,
    generator: torch.Generator,
    sampled: Mapping[str, list[int]] | None = None,
    ranks: Ranks = ALONE,
    *,
    keeps: bool = False,
) -> Rollouts:
    """Completions for ``rows`` at optimizer step ``step`` (from 0), by the sources' shares.

    ``sampled`` are the answers that were written before training, by row id. Several processes
    write a share each. ``keeps`` asks for the activations of what the student writes, if that is
    all.
    """
    sources = assign_sources(config, step, len(rows), generator)
    sampling = sampling_at(config, step)
    completions: list[list[int]] = [[] for _ in rows]
    for i, source in enumerate(sources):
        if source == "demonstration":
            completions[i] = demonstration_ids(model, rows[i])
        elif source == "sampled" and sampled is not None:
            completions[i] = sampled[rows[i].id]
    ranks.set_apart(generator)
    by_student: Written | None = None
    for source, side in (("student", prompts.student), ("teacher", prompts.teacher)):
        chosen = [i for i, name in enumerate(sources) if name == source]
        if chosen and side is not None:
            own = [chosen[place] for place in ranks.share(len(chosen))]
            mine = [side[i] for i in own], [demonstration_ids(model, rows[i]) for i in own]
            writer = teacher.in_place() if source == "teacher" else contextlib.nullcontext()
            with writer:
                written = _write(
                    model, *mine, sampling, generator, keeps and own == [*range(len(rows))]
                )
            by_student = written if source == "student" else by_student
            for i, completion in zip(chosen, ranks.join_lists(written.completions), strict=True):
                completions[i] = completion
    ends = model.tokenizer.eos_ids
    clipped = [not completion or completion[-1] not in ends for completion in completions]
    return Rollouts(completions, sources, clipped, by_student)


def sampling_at(config: RolloutConfig, step: int) -> Sampling:
    """How the completions of optimizer step ``step`` are sampled."""
    return Sampling(
        max_new_tokens=round(value_at(config.max_new_tokens, step)),
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=config.top_k,
        min_p=config.min_p,
    )


def _write(
    model: LanguageModel,
    prompts: list[list[int]],
    demonstrations: list[list[int]],
    sampling: Sampling,
    generator: torch.Generator,
    keeps: bool,
) -> Written:
    """Completions, the sooner the more they resemble the demonstrations."""
    if not prompts:
        return Written(prompts, [])
    with model.merged():
        return write(model, prompts, sampling, generator, demonstrations, keeps=keeps)


def demonstration_ids(model: LanguageModel, row: Demonstration) -> list[int]:
    """The demonstration as a completion: its tokens up to the first end token, or the turn's end.

    (Text that spells an end token becomes one; the model would stop there.)
    """
    ids = [*model.tokenizer.encode(row.demonstration), model.tokenizer.end_id]
    ends = (place for place, token in enumerate(ids) if token in model.tokenizer.eos_ids)
    return ids[: next(ends, len(ids)) + 1]


def longest_generated(config: RolloutConfig) -> int:
    """The most tokens that any step may let a model write; 0 where all are demonstrations."""
    if set(config.source) == {"demonstration"}:
        return 0
    length = config.max_new_tokens
    return round(max(length.start, length.end)) if isinstance(length, Schedule) else length


def longest_completion(model: LanguageModel, config: RunConfig, row: Demonstration) -> int:
    """The longest completion of ``row``, in tokens, that any step may train on."""
    shown = "demonstration" in config.rollout.source or config.divergence.nll_share != 0.0
    longest = len(demonstration_ids(model, row)) if shown else 0
    return max(longest_generated(config.rollout), longest)


def assign_sources(
    config: RolloutConfig, step: int, rows: int, generator: torch.Generator
) -> list[RolloutSource]:
    """The source of each row: shares in expectation exact, rows in random order."""
    rest: RolloutSource = next(name for name, share in config.source.items() if share == "rest")
    names: list[RolloutSource] = []
    device = generator.device
    for name, share in config.source.items():
        if share != "rest":
            chance = float(torch.rand((), generator=generator, device=device))
            names += [name] * math.floor(value_at(share, step) * rows + chance)
    names = (names + [rest] * rows)[:rows]
    return [names[i] for i in torch.randperm(rows, generator=generator, device=device).tolist()]
