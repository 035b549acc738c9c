"""The teacher's weights: base, live, or an average of the student that follows it in fp32."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from backend.config import TeacherConfig
from backend.models.language_model import LanguageModel
from backend.models.trained import exchanged


class Teacher:
    """Puts the teacher's weights in the student's place for a while.

    Only what is trained is averaged: under an adapter the base weights are the student's own. The
    average starts from a copy of the student and is kept in fp32 (in bf16, at rate 0.01, it hardly
    moves).
    """

    def __init__(self, model: LanguageModel, config: TeacherConfig) -> None:
        self._model = model
        self.config = config
        self.average: dict[str, Tensor] = {}
        if config.weights == "ema":
            self.average = {
                name: parameter.detach().float().clone()
                for name, parameter in model.adapter_parameters().items()
            }

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

    def follow(self) -> None:
        """average += rate * (student - average); nothing where the teacher is no average."""
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
        if self.config.weights == "ema":
            parameters = self._model.adapter_parameters()
            used = {name: self.average[name].to(p.dtype) for name, p in parameters.items()}
            return exchanged(parameters, used)
        return contextlib.nullcontext()
