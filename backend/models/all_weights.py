"""All weights of a model, trained in fp32; the original ones are kept beside them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from backend.errors import UserError
from backend.models.trained import exchanged

WEIGHTS: Final = "model.safetensors"


class AllWeights:
    """Trains every parameter of the network.

    They are fp32, whatever the model was loaded in: an update at a usual learning rate is below
    bf16's resolution. Products still run in the type that autocast says. The base is a copy, in the
    type it was loaded in.
    """

    def __init__(self, network: Any) -> None:
        self._base = {name: p.detach().clone() for name, p in network.named_parameters()}
        self.network = network.float().requires_grad_(True)

    def parameters(self) -> dict[str, nn.Parameter]:
        return dict(self.network.named_parameters())

    def base(self) -> contextlib.AbstractContextManager[None]:
        return exchanged(self.parameters(), self._base)

    def plain(self) -> Any:
        return self.network.requires_grad_(False)

    def save(self, folder: Path) -> None:
        tensors = {name: tensor.contiguous().cpu() for name, tensor in self._tensors().items()}
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})

    def load(self, folder: Path) -> None:
        """The stored shapes must be the model's own."""
        if not (folder / WEIGHTS).is_file():
            raise UserError(
                "it holds an adapter, not all weights of a model",
                where=str(folder),
                remedy="leave adapter.full out, or start from a run that trained all weights",
            )
        stored, own = load_file(folder / WEIGHTS), self._tensors()
        if {n: t.shape for n, t in stored.items()} != {n: t.shape for n, t in own.items()}:
            raise UserError(
                "its weights have other names or shapes than this run's model",
                where=str(folder),
                remedy="use the same model",
            )
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(stored[name])

    def _tensors(self) -> dict[str, Tensor]:
        """Parameters and stored buffers, as the model's own file has them: tied ones once."""
        named = self.network.named_parameters(remove_duplicate=False)
        tied = {name for name, _ in named} - self.parameters().keys()
        state: dict[str, Tensor] = self.network.state_dict()
        return {name: tensor for name, tensor in state.items() if name not in tied}
