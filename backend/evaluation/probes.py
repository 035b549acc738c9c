"""Probes: sets of items that a model is scored on, each a name, a metric and a way to score."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import torch

from backend.data.demonstration import Demonstration, Message
from backend.errors import UserError
from backend.evaluation.answers import answer
from backend.evaluation.checks import passes
from backend.evaluation.intervals import interval
from backend.evaluation.likelihood import choice_logprobs
from backend.evaluation.probe_names import KL_METRIC
from backend.evaluation.scorers import Score, ScorerFailed, choose
from backend.models.language_model import LanguageModel
from backend.settings import Settings
from backend.text.contexts import student_messages
from backend.text.thinking import strip_thinking
from backend.training.divergence import token_kls
from backend.training.packing import pack_for
from backend.training.prefill import completion_hidden
from backend.training.recorder import Evaluation, Item
from backend.training.rollouts import demonstration_ids

Row = TypeVar("Row")
KL_ROWS: Final = 8
_TOO_LONG: Final = Score(0.0, "the prompt is too long for the model")
# Raised when scoring changes, so that stored evaluations of base models are not reused.
SCORING: Final = 2


class ProbeUnavailable(UserError):
    """A probe that cannot be scored here; the run goes on without it."""

    code = "probe_unavailable"


class NothingScored(ProbeUnavailable):
    """Every item of a probe failed; another time some may not."""


class Probe(Protocol):
    """Something a model is scored on. The model answers with whatever weights are in place."""

    @property
    def name(self) -> str:
        """As stored with the score: ``task:home-commands``, ``prior:facts``."""

    @property
    def metric(self) -> str:
        """What the score is: a scorer's name, ``accuracy``, ``passed``, ``kl_nats``."""

    def identity(self, limit: int) -> str:
        """What the items and their scoring depend on, besides the model."""

    def run(self, model: LanguageModel, limit: int) -> list[Item]:
        """Scored items: all of them, or a fixed ``limit`` of them if that is not 0.

        An item that could not be scored stands among them as failed.
        """


def evaluate(probe: Probe, model: LanguageModel, limit: int) -> Evaluation:
    """The probe's mean score with its 95 % interval, and the items. Raises NothingScored."""
    return _measured(probe.name, probe.metric, probe.run(model, limit))


def _measured(probe: str, metric: str, items: Sequence[Item]) -> Evaluation:
    scored = [item for item in items if not item.failed]
    failed = [item for item in items if item.failed]
    if failed and not scored:
        raise NothingScored(
            f"none of {len(failed)} items could be scored: {failed[0].reason}", where=probe
        )
    scores = [item.score for item in scored]
    measured = interval(scores, is_proportion=metric != KlProbe.metric)
    return Evaluation(
        probe=probe,
        metric=metric,
        score=measured.score,
        n=measured.n,
        low=measured.low,
        high=measured.high,
        items=tuple(scored),
        failed=tuple(failed),
    )


def fingerprint(probe: Probe, model: LanguageModel, limit: int) -> str:
    """The same for the same base weights, items and scoring."""
    parts = [model.digest, str(model.compute.dtype), probe.name, probe.metric,
             probe.identity(limit), SCORING]  # fmt: skip
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def some(items: Sequence[Row], limit: int, item_id: Callable[[Row], str]) -> list[Row]:
    """``limit`` of the items, in their order; all if ``limit`` is 0.

    Which ones depends on their ids only, and a smaller choice lies within a larger one.
    """
    if not limit or limit >= len(items):
        return list(items)
    ranked = sorted(items, key=lambda item: hashlib.sha256(item_id(item).encode()).digest())
    chosen = {item_id(item) for item in ranked[:limit]}
    return [item for item in items if item_id(item) in chosen]


def part_of(whole: Evaluation, limit: int) -> Evaluation:
    """What :func:`evaluate` would give for ``limit`` of the items, out of those scored already."""
    items = [*whole.items, *whole.failed]
    return _measured(whole.probe, whole.metric, some(items, limit, lambda i: i.item_id))


@dataclass(frozen=True)
class TaskProbe:
    """Greedy answers to a task's held-out rows, judged by the task's scorer.

    ``settings`` are the lab's, for a scorer that runs programs or asks a judge.
    """

    task: str
    version: str
    rows: Sequence[Demonstration]
    scorer: str
    max_new_tokens: int
    settings: Settings | None = None

    @property
    def name(self) -> str:
        return f"task:{self.task}"

    @property
    def metric(self) -> str:
        return choose(self.scorer).scorer.name

    def identity(self, limit: int) -> str:
        outside = choose(self.scorer).open(self.settings).identity
        parts = [self.version, self.max_new_tokens, limit, *([outside] if outside else [])]
        return " ".join(map(str, parts))

    def run(self, model: LanguageModel, limit: int) -> list[Item]:
        scorer = choose(self.scorer).open(self.settings)
        rows = some(self.rows, limit, lambda row: row.id)
        prompts = [model.tokenizer.prompt_ids(student_messages(row)) for row in rows]
        longest = model.context_length - self.max_new_tokens
        fitting = [i for i, prompt in enumerate(prompts) if len(prompt) <= longest]
        wanted = [demonstration_ids(model, rows[i]) for i in fitting]
        written = answer(model, [prompts[i] for i in fitting], self.max_new_tokens, wanted)
        judged = scorer.scores([(a, rows[i]) for i, a in zip(fitting, written, strict=True)])
        found = dict(zip(fitting, zip(written, judged, strict=True), strict=True))
        return [_task_item(row, *found.get(i, ("", _TOO_LONG))) for i, row in enumerate(rows)]


def _task_item(row: Demonstration, text: str, judged: Score | ScorerFailed) -> Item:
    shown = (row.id, row.prompt, row.demonstration, text)
    if isinstance(judged, ScorerFailed):
        return Item(*shown, 0.0, str(judged), judged.record, failed=True)
    return Item(*shown, judged.value, judged.reason, judged.record)


@dataclass(frozen=True)
class ChoiceProbe:
    """Multiple-choice questions; the answer is the choice with the likeliest tokens."""

    name: str
    rows: Sequence[Mapping[str, Any]]
    metric: str = "accuracy"

    def identity(self, limit: int) -> str:
        return _content(some(self.rows, limit, _id))

    def run(self, model: LanguageModel, limit: int) -> list[Item]:
        rows = some(self.rows, limit, _id)
        with model.merged():
            logprobs = choice_logprobs(model, rows)
        return [self._item(*each) for each in zip(rows, logprobs, strict=True)]

    def _item(self, row: Mapping[str, Any], logprobs: list[float]) -> Item:
        choices, right = row["choices"], int(row["answer"])
        chosen = max(range(len(choices)), key=lambda i: logprobs[i])
        margin = logprobs[right] - max(s for i, s in enumerate(logprobs) if i != right)
        reason = f"margin {margin:+.2f} nats a token"
        return Item(row["id"], row["question"], choices[right], choices[chosen],
                    float(chosen == right), reason)  # fmt: skip


@dataclass(frozen=True)
class InstructionProbe:
    """Short instructions whose answers are checked by rules."""

    name: str
    rows: Sequence[Mapping[str, Any]]
    max_new_tokens: int = 32
    metric: str = "passed"

    def identity(self, limit: int) -> str:
        return f"{_content(some(self.rows, limit, _id))} {self.max_new_tokens}"

    def run(self, model: LanguageModel, limit: int) -> list[Item]:
        rows = some(self.rows, limit, _id)
        answers = answer(model, [_user(model, row["prompt"]) for row in rows], self.max_new_tokens)
        return [
            Item(row["id"], row["prompt"], json.dumps(row["check"]), text,
                 float(passes(row["check"], strip_thinking(text))), row["check"]["kind"])
            for row, text in zip(rows, answers, strict=True)
        ]  # fmt: skip


@dataclass(frozen=True)
class KlProbe:
    """KL(base || student) in nats a token on the base's own greedy answers to everyday prompts.

    ``base_answers`` spares writing them again, by prompt id.
    """

    name: str
    rows: Sequence[Mapping[str, Any]]
    base_answers: Mapping[str, str]
    max_new_tokens: int = 32
    metric: str = KL_METRIC

    def identity(self, limit: int) -> str:
        return f"{_content(some(self.rows, limit, _id))} {self.max_new_tokens}"

    @torch.no_grad()
    def run(self, model: LanguageModel, limit: int) -> list[Item]:
        rows = some(self.rows, limit, _id)
        prompts = [_user(model, row["prompt"]) for row in rows]
        with model.base_weights():
            texts = self._answers(model, rows, prompts)
        ids = [model.tokenizer.encode(text) or [model.tokenizer.end_id] for text in texts]
        nats = _kls_to_base(model, prompts, ids)
        return [
            Item(row["id"], row["prompt"], "", text, kl, f"{len(written)} tokens")
            for row, text, kl, written in zip(rows, texts, nats, ids, strict=True)
        ]

    def _answers(
        self, model: LanguageModel, rows: Sequence[Mapping[str, Any]], prompts: list[list[int]]
    ) -> list[str]:
        known = [self.base_answers.get(row["id"]) for row in rows]
        if all(text is not None for text in known):
            return [text for text in known if text is not None]
        return answer(model, prompts, self.max_new_tokens)


def _kls_to_base(
    model: LanguageModel, prompts: list[list[int]], answers: list[list[int]]
) -> list[float]:
    """Mean KL(base || student) a token, in nats, of each answer."""
    means: list[float] = []
    for start in range(0, len(prompts), KL_ROWS):
        span = slice(start, start + KL_ROWS)
        batch = pack_for(model, prompts[span], answers[span])
        student_NH = completion_hidden(model, batch)
        with model.base_weights():
            base_NH = completion_hidden(model, batch)
        kl_BT = batch.scatter(token_kls(model.head, base_NH, student_NH))
        means += (kl_BT.sum(1) / batch.completion_mask_BT.sum(1)).tolist()
    return means


def _user(model: LanguageModel, prompt: str) -> list[int]:
    return model.tokenizer.prompt_ids([Message(role="user", content=prompt)])


def _id(row: Mapping[str, Any]) -> str:
    return str(row["id"])


def _content(rows: Sequence[Mapping[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(list(rows), sort_keys=True).encode()).hexdigest()
