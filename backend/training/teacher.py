"""The teacher's weights: base, live, another run's, or an fp32 average that follows the student."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from backend.config import TeacherConfig
from backend.errors import Fault
from backend.models.language_model import LanguageModel
from backend.models.trained import exchanged


class Teacher:
    """Puts the teacher's weights in the student's place for a while.

    Only what is trained is averaged: under an adapter the base weights are the student's own. The
    average starts from a copy of the student and is kept in fp32 (in bf16, at rate 0.01, it hardly
    moves). Another run's weights, out of its checkpoint ``other``, stand in the same place and
    never move.
    """

    def __init__(
        self, model: LanguageModel, config: TeacherConfig, other: Path | None = None
    ) -> None:
        self._model = model
        self.config = config
        self.average: dict[str, Tensor] = {}
        if config.weights == "ema":
            self.average = _copy_of_student(model)
        elif config.weights == "run":
            if other is None:
                raise Fault("the teacher's run was not found", where="teacher.run")
            self.average = _stored_weights(model, other)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """The teacher's weights, without gradient and in evaluation mode, while the block runs.

        The student's are back afterwards, also after an exception.
        """
        network = self._model.network
        training = network.training
        network.eval()
        try:
            with torch.no_grad(), self._weights():
                yield
        finally:
            network.train(training)

    def follow(self, done: int = 0) -> None:
        """average += rate * (student - average), at every n-th finished step; else nothing."""
        if self.config.weights != "ema" or done % self.config.every:
            return
        for name, parameter in self._model.adapter_parameters().items():
            if name in self.average:
                self.average[name].lerp_(parameter.detach().float(), self.config.rate)

    def load(self, average: Mapping[str, Tensor]) -> None:
        """Takes a stored average back, bit for bit."""
        for name, tensor in self.average.items():
            tensor.copy_(average[name])

    def _weights(self) -> contextlib.AbstractContextManager[None]:
        if self.config.weights == "base":
            return self._model.base_weights()
        if self.average:
            parameters = self._model.adapter_parameters()
            used = {name: self.average[name].to(p.dtype) for name, p in parameters.items()}
            return exchanged(parameters, used)
        return contextlib.nullcontext()


def _copy_of_student(model: LanguageModel) -> dict[str, Tensor]:
    parameters = model.adapter_parameters().items()
    return {name: parameter.detach().float().clone() for name, parameter in parameters}


def _stored_weights(model: LanguageModel, folder: Path) -> dict[str, Tensor]:
    """What another run's checkpoint holds; the student is as before afterwards."""
    parameters = model.adapter_parameters()
    kept = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    try:
        model.trained.load(folder)
        return _copy_of_student(model)
    finally:
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(kept[name])
