"""What a run trains, an adapter or all weights, and how weights take each other's places."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn


class Trained(Protocol):
    """The one place that says which parameters train and how the original ones come back.

    The student's weights are in place unless a block of :meth:`base` runs.
    """

    network: Any

    def parameters(self) -> dict[str, nn.Parameter]:
        """The trained parameters by name."""

    def base(self) -> contextlib.AbstractContextManager[None]:
        """The original model's weights in place while the block runs, whatever was trained."""

    def plain(self) -> Any:
        """The student as a transformers model of its own; nothing can be trained afterwards."""

    def save(self, folder: Path) -> None:
        """Writes the student's weights as a checkpoint holds them."""

    def load(self, folder: Path) -> None:
        """Puts stored weights in the student's place. Raises UserError where they do not fit."""


@contextlib.contextmanager
def exchanged(
    parameters: Mapping[str, nn.Parameter], weights: Mapping[str, Tensor]
) -> Iterator[None]:
    """Other weights in the parameters' places while the block runs; theirs are back afterwards.

    The parameters stay the same objects, so that tied layers and an optimizer still hold them.
    """
    kept = {name: parameter.data for name, parameter in parameters.items()}
    try:
        for name, parameter in parameters.items():
            parameter.data = weights[name]
        yield
    finally:
        for name, parameter in parameters.items():
            parameter.data = kept[name]
