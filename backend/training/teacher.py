"""The teacher's weights: base, live, or an average of the student that follows it in fp32."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from backend.config import TeacherConfig
from backend.models.language_model import LanguageModel


class Teacher:
    """Puts the teacher's weights in the student's place for a while.

    Only the adapter is averaged: the base weights are the student's own. The average starts from a
    copy of the student's adapter and is kept in fp32 (in bf16, at rate 0.01, it hardly moves).
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

    @contextlib.contextmanager
    def _weights(self) -> Iterator[None]:
        if self.config.weights == "base":
            with self._model.base_weights():
                yield
        elif self.config.weights == "ema":
            with self._averaged():
                yield
        else:
            yield

    @contextlib.contextmanager
    def _averaged(self) -> Iterator[None]:
        parameters = self._model.adapter_parameters()
        students = {name: parameter.data for name, parameter in parameters.items()}
        try:
            for name, parameter in parameters.items():
                parameter.data = self.average[name].to(parameter.dtype)
            yield
        finally:
            for name, parameter in parameters.items():
                parameter.data = students[name]
