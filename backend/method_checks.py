"""Which choices of a method contradict each other, and which deserve a warning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from backend.config import RunConfig
from backend.errors import ConfigError

# Contexts that show what only a group of scored rollouts knows.
FROM_GROUP: Final = frozenset({"successful-sibling", "feedback", "sibling-or-feedback"})
_FROM_SIBLING: Final = FROM_GROUP - {"feedback"}

# Where transformers lets its polynomial schedule end.
POLYNOMIAL_END: Final = 1e-7

Contradiction = tuple[str, str]


def check(config: RunConfig, where: str = "configuration") -> None:
    """Raises ConfigError, naming both parts, where two choices contradict each other."""
    parts = (
        _of_teacher,
        _of_divergence,
        _of_sampled_token,
        _of_rollouts,
        _of_optimizer,
        _of_adapter,
    )
    for part in parts:
        for message, remedy in part(config):
            raise ConfigError(message, where=where, remedy=remedy)


def _of_teacher(config: RunConfig) -> Iterator[Contradiction]:
    teacher, kind = config.teacher, config.divergence.kind
    compares, has_teacher = kind != "nll", teacher.weights != "none"
    if compares and not has_teacher:
        yield (
            f"divergence.kind {kind} compares with a teacher, but teacher.weights is none",
            "choose teacher.weights base, live, ema or run, or divergence.kind nll",
        )
    if has_teacher and not compares:
        yield (
            f"divergence.kind nll has no teacher, but teacher.weights is {teacher.weights}",
            "choose teacher.weights none, or a divergence that compares",
        )
    if teacher.context == "template" and teacher.template is None:
        yield (
            "teacher.context is template, but teacher.template is missing",
            "add a template with {prompt} and {demonstration}",
        )
    if (teacher.weights == "run") != (teacher.run is not None):
        yield (
            f"teacher.weights is {teacher.weights}, but teacher.run is {teacher.run or 'missing'}",
            "name a run in teacher.run together with teacher.weights run",
        )
    if has_teacher and teacher.context in _FROM_SIBLING and config.rollout.per_prompt < 2:
        yield (
            f"teacher.context {teacher.context} shows another rollout of the same prompt, but "
            f"rollout.per_prompt is {config.rollout.per_prompt}",
            "set rollout.per_prompt to 2 at least",
        )


def _of_divergence(config: RunConfig) -> Iterator[Contradiction]:
    divergence, weights = config.divergence, config.token_weights
    has_teacher = config.teacher.weights != "none"
    if not has_teacher and weights.stop_below > 0:
        yield (
            f"token_weights.stop_below {weights.stop_below} reads the teacher's probabilities, but "
            "teacher.weights is none",
            "set stop_below to 0, or choose a teacher",
        )
    if divergence.kind != "nll":
        if weights.by_probability:
            yield (
                "token_weights.by_probability belongs to divergence.kind nll, but it is "
                f"{divergence.kind}",
                "set by_probability to false, or choose nll",
            )
        return
    for name, value, usual in (
        ("support", divergence.support, "full"),
        ("clip", divergence.clip, None),
        ("nll_share", divergence.nll_share, 0.0),
    ):
        if value != usual:
            yield (
                f"divergence.kind nll reads one token only, but divergence.{name} is {value}",
                f"leave divergence.{name} out, or choose a divergence that compares",
            )


def _of_sampled_token(config: RunConfig) -> Iterator[Contradiction]:
    """It estimates reverse KL from the student's own untruncated samples at temperature 1."""
    divergence, rollout = config.divergence, config.rollout
    if divergence.support != "sampled-token":
        return
    if divergence.kind != "reverse_kl":
        yield (
            "divergence.support sampled-token estimates reverse KL only, but divergence.kind is "
            f"{divergence.kind}",
            "choose divergence.kind reverse_kl, or another support",
        )
    if divergence.clip is not None:
        yield (
            "divergence.support sampled-token has no terms to clip, but divergence.clip is "
            f"{divergence.clip}",
            "leave divergence.clip out, or choose another support",
        )
    for name, value, whole in (
        ("temperature", rollout.temperature, 1.0),
        ("top_p", rollout.top_p, 1.0),
        ("top_k", rollout.top_k, 0),
        ("min_p", rollout.min_p, 0.0),
    ):
        if value != whole:
            yield (
                "divergence.support sampled-token needs untruncated samples at temperature 1, but "
                f"rollout.{name} is {value}",
                f"set rollout.{name} to {whole}, or choose another support",
            )
    if set(rollout.source) != {"student"}:
        yield (
            "divergence.support sampled-token needs the student's own samples, but rollout.source "
            f"has {' and '.join(sorted(rollout.source))}",
            "set rollout.source to student, or choose another support",
        )


def _of_rollouts(config: RunConfig) -> Iterator[Contradiction]:
    rollout, teacher = config.rollout, config.teacher
    if "teacher" in rollout.source:
        if teacher.weights == "none":
            yield (
                "rollout.source teacher samples from the teacher, but teacher.weights is none",
                "choose another source, or a teacher",
            )
        if teacher.context in FROM_GROUP:
            yield (
                "rollout.source teacher samples before there is a group, but teacher.context is "
                f"{teacher.context}",
                "choose another source, or a context that shows a demonstration",
            )
    if "sampled" in rollout.source and (
        set(rollout.source) != {"sampled"} or rollout.per_prompt != 1
    ):
        yield (
            "rollout.source sampled is one answer a prompt, written before training, but "
            f"rollout.source has {' and '.join(sorted(rollout.source))} and rollout.per_prompt is "
            f"{rollout.per_prompt}",
            "set rollout.source to sampled alone and rollout.per_prompt to 1",
        )
    if rollout.prompts == "general":
        if "demonstration" in rollout.source:
            yield (
                "rollout.prompts general have no demonstration, but rollout.source has one",
                "set rollout.source to student",
            )
        if teacher.weights != "none" and teacher.context != "prompt-only":
            yield (
                "rollout.prompts general have nothing to show, but teacher.context is "
                f"{teacher.context}",
                "set teacher.context to prompt-only",
            )
        if config.divergence.nll_share != 0.0:
            yield (
                "rollout.prompts general have no demonstration, but divergence.nll_share is set",
                "leave divergence.nll_share out",
            )


def _of_optimizer(config: RunConfig) -> Iterator[Contradiction]:
    optimizer = config.optimizer
    if optimizer.schedule == "polynomial" and optimizer.learning_rate <= POLYNOMIAL_END:
        yield (
            f"optimizer.schedule polynomial ends at {POLYNOMIAL_END}, but optimizer.learning_rate "
            f"is {optimizer.learning_rate}",
            "raise the rate, or choose another schedule",
        )


def _of_adapter(config: RunConfig) -> Iterator[Contradiction]:
    for name in ("rslora", "dora", "four_bit"):
        if config.adapter.full and getattr(config.adapter, name):
            yield (
                f"adapter.full trains all weights, but adapter.{name} is true and belongs to an "
                "adapter",
                f"leave adapter.{name} out, or adapter.full",
            )


def warnings(config: RunConfig) -> list[str]:
    """What is allowed, and yet known to go wrong; a sentence each."""
    return list(_warnings(config))


def _warnings(config: RunConfig) -> Iterator[str]:
    rollout, weights, divergence = config.rollout, config.token_weights, config.divergence
    if divergence.clip is not None:
        yield (
            f"divergence.clip {divergence.clip} cuts the largest terms of the sum: where teacher "
            "and student differ much, its gradient can lead away from the teacher"
        )
    if weights.importance_cap is not None and "teacher" not in rollout.source:
        yield (
            f"token_weights.importance_cap {weights.importance_cap} changes nothing here: each "
            "batch of the student's own rollouts is used once, so that the ratio is 1"
        )
    if divergence.support in ("student-top-k", "teacher-top-k") and not divergence.tail:
        yield (
            f"divergence.support {divergence.support} without divergence.tail compares the "
            f"{divergence.top_k} tokens among themselves: mass on all others goes unseen"
        )
    truncated = rollout.top_p < 1 or rollout.top_k or rollout.min_p
    if truncated and "sampled" not in rollout.source and divergence.kind != "nll":
        yield (
            "rollout.top_p, top_k or min_p cut the student's samples, so that the states trained "
            "on are not quite its own"
        )
    if divergence.kind == "nll" and weights.by_probability:
        yield (
            "token_weights.by_probability learns little from a demonstration that the student "
            "finds unlikely: where the task is new to the model, it is slow"
        )
    if config.teacher.weights == "live" and config.teacher.context == "prompt-only":
        yield (
            "teacher.weights live with teacher.context prompt-only is the student itself: nothing "
            "is learned"
        )
