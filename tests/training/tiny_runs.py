"""Configurations, rows and trainers that are small enough for a test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from backend.config import RunConfig
from backend.data.demonstration import Demonstration, Message
from backend.methods import resolve, set_dotted
from backend.models.language_model import LanguageModel
from backend.training.loop import make_trainer
from backend.training.step import StepReport, training_step
from backend.training.trainer import Trainer
from tests.tiny_model import load_tiny

_SMALL = {
    "task": "tiny",
    "steps": 6,
    "batch_size": 4,
    "adapter.rank": 4,
    "rollout.max_new_tokens": 8,
    "evaluate.max_new_tokens": 8,
    "optimizer.learning_rate": 0.01,
    "optimizer.warmup_steps": 0,
    "optimizer.max_grad_norm": 1e6,
    "traces.every": 0,
}
_SDFT = {
    "rollout.source": "student",
    "teacher.context": "earlier-turn",
    "teacher.temperature": 1.0,
    "token_weights.stop_below": 0.0,
}
ANSWERS = ("light.on()", "the answer", "a", "light.dim(3)", "you and the light", "question?")

# Where the demonstration is empty, the teacher reads what the student reads.
EQUAL_CONTEXT = {"teacher__context": "template", "teacher__template": "{prompt}{demonstration}"}


def tiny_config(method: str = "sdft", **changes: Any) -> RunConfig:
    """A configuration for the tiny model; changes are dotted names, with ``__`` for the dot."""
    document: dict[str, Any] = {"method": method}
    dotted = {key.replace("__", "."): value for key, value in changes.items()}
    for key, value in (_SMALL | (_SDFT if method == "sdft" else {}) | dotted).items():
        set_dotted(document, key, value)
    return resolve(document)


def demonstration(
    number: int, prompt: str | None = None, answer: str | None = None
) -> Demonstration:
    """Row ``number``: prompts and answers of several lengths."""
    text = prompt or f"question {number} {'on the light ' * (number % 3)}"
    return Demonstration(
        id=f"row-{number}",
        row=number,
        messages=(Message(role="user", content=text),),
        demonstration=answer or ANSWERS[number % len(ANSWERS)],
    )


def demonstrations(count: int, first: int = 1) -> list[Demonstration]:
    return [demonstration(number) for number in range(first, first + count)]


def tiny_trainer(
    folder: Path,
    config: RunConfig,
    start_from: Path | None = None,
    dtype: torch.dtype = torch.float32,
) -> Trainer:
    """A trainer at step 0 with a model of its own."""
    return make_trainer(load_tiny(folder, dtype), config, start_from)


def disturb_adapter(model: LanguageModel, seed: int = 1, scale: float = 0.2) -> None:
    """Random weights for the adapter, B included, so that it changes the logits."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.adapter_parameters().values():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * scale)


def adapter_of(model: LanguageModel) -> dict[str, Tensor]:
    """A copy of the student's adapter."""
    return {name: p.detach().clone() for name, p in model.adapter_parameters().items()}


def logits_of(model: LanguageModel, text: str = "the light is on you") -> Tensor:
    """Logits [L, V] of a text, with whatever weights are in place."""
    ids = torch.tensor([model.tokenizer.encode(text)])
    with torch.no_grad():
        return model.head(model.backbone(input_ids=ids).last_hidden_state[0])


class GradientKeeper(torch.optim.SGD):
    """An optimizer that changes nothing and keeps the gradients that it was given."""

    def __init__(self, parameters: Mapping[str, Tensor]) -> None:
        super().__init__(list(parameters.values()), lr=0.0)
        self._parameters = parameters
        self.gradients: dict[str, Tensor] = {}

    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # returns no loss
        self.gradients = {
            name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
            for name, p in self._parameters.items()
        }


def gradients_of_step(
    trainer: Trainer, rows: Sequence[Demonstration], step: int = 0
) -> tuple[StepReport, dict[str, Tensor]]:
    """What a step would do: its report and the adapter's gradients; the student stays as it is."""
    keeper = GradientKeeper(trainer.model.adapter_parameters())
    schedule = torch.optim.lr_scheduler.ConstantLR(keeper, factor=1.0)
    watched = replace(trainer, optimizer=keeper, scheduler=schedule)
    with _frozen(trainer):
        report = training_step(watched, rows, step)
    return report, keeper.gradients


@contextmanager
def _frozen(trainer: Trainer) -> Iterator[None]:
    average = {name: tensor.clone() for name, tensor in trainer.teacher.average.items()}
    yield
    trainer.teacher.load(average)


def assert_equal_tensors(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> None:
    """The same names, and the same bits."""
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


def assert_close_tensors(
    ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor], tolerance: float = 1e-6
) -> None:
    """As close as rounding lets tensors be whose largest entry may be well above 1."""
    assert ours.keys() == theirs.keys()
    for name in ours:
        atol = tolerance * max(1.0, float(theirs[name].abs().max()))
        torch.testing.assert_close(ours[name], theirs[name], atol=atol, rtol=1e-4, msg=name)
