"""A LoRA adapter: put on the base, switched off, and written as PEFT writes it."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import torch
from peft import (
    LoraConfig,
    get_peft_model,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from backend.config import AdapterConfig
from backend.errors import ModelError, UserError
from backend.models.products import use_products

ADAPTER: Final = "adapter_model.safetensors"
_CONFIG: Final = "adapter_config.json"
# What PEFT's file says of an adapter's kind, by the settings that choose it.
_KIND: Final = {
    "use_dora": "adapter.dora",
    "use_rslora": "adapter.rslora",
    "lora_alpha": "adapter.alpha",
}


class LoraAdapter:
    """Trains a fresh adapter; the base stays as it is.

    B is zero, so that the logits do not change; under DoRA they do by rounding, as a layer's
    weights are divided by their norms and multiplied by these again.
    """

    def __init__(self, network: Any, config: AdapterConfig, base_name: str, seed: int) -> None:
        head = network.get_output_embeddings()
        targets = config.targets if isinstance(config.targets, str) else list(config.targets)
        lora = LoraConfig(
            r=config.rank,
            lora_alpha=config.alpha,
            target_modules=targets,
            use_rslora=config.rslora,
            use_dora=config.dora,
            task_type="CAUSAL_LM",
        )
        torch.manual_seed(seed)
        try:
            self.network = get_peft_model(network, lora)
        except ValueError as error:
            raise ModelError(
                f"the adapter does not fit this model ({error})",
                where="adapter.targets",
                remedy="use all-linear, or names of the model's linear layers",
            ) from error
        if self.network.get_output_embeddings() is not head:
            raise ModelError(
                "the output layer cannot be adapted, since the loss reads it directly",
                where="adapter.targets",
                remedy="leave it out of the list, as all-linear does",
            )
        self._config = self.network.peft_config["default"]
        # peft puts the folder here, which means nothing on another machine.
        self._config.base_model_name_or_path = base_name
        # A new module is in training mode, and whoever restores the mode would spread it.
        self.network.eval()
        use_products(self.network)

    def parameters(self) -> dict[str, nn.Parameter]:
        return {n: p for n, p in self.network.named_parameters() if p.requires_grad}

    @contextlib.contextmanager
    def base(self) -> Iterator[None]:
        with self.network.disable_adapter():
            yield

    def plain(self) -> Any:
        return self.network.merge_and_unload()

    def save(self, folder: Path) -> None:
        tensors = {name: tensor.contiguous().cpu() for name, tensor in self._tensors().items()}
        save_file(tensors, folder / ADAPTER, metadata={"format": "pt"})
        config = copy.copy(self._config)
        config.inference_mode = True
        # peft keeps a set, whose order differs from process to process.
        config.target_modules = sorted(config.target_modules)
        config.save_pretrained(str(folder))

    def load(self, folder: Path) -> None:
        """What was stored must be of the adapter's own kind: its shapes, alpha and scaling."""
        if not (folder / ADAPTER).is_file():
            raise UserError(
                "it holds no adapter, but all weights of a model",
                where=str(folder),
                remedy="set adapter.full to true, or start from a run with an adapter",
            )
        self._check_kind(folder)
        tensors = load_file(folder / ADAPTER)
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        if shapes != {name: tuple(tensor.shape) for name, tensor in self._tensors().items()}:
            raise UserError(
                "its adapter has other layers or another rank than this run's",
                where=str(folder),
                remedy="use the same model, adapter.rank and adapter.targets",
            )
        with torch.no_grad():
            set_peft_model_state_dict(self.network, tensors)

    def _check_kind(self, folder: Path) -> None:
        """Raises UserError where the same tensors would do something else here."""
        stored = json.loads((folder / _CONFIG).read_text("utf-8"))
        for theirs, ours in _KIND.items():
            # A file that an older PEFT wrote does not have the newer settings.
            there, here = stored.get(theirs, False), getattr(self._config, theirs)
            if there != here:
                raise UserError(
                    f"its adapter was trained with {ours} {_word(there)}, and this run has "
                    f"{_word(here)}",
                    where=str(folder),
                    remedy=f"set {ours} to {_word(there)}, or the same weights do something else",
                )

    def _tensors(self) -> dict[str, Tensor]:
        """The adapter under the names that PEFT gives it in a file."""
        # By default peft looks the base model up on the hub, to see whether its vocabulary grew.
        tensors: dict[str, Tensor] = get_peft_model_state_dict(
            self.network, save_embedding_layers=False
        )
        return tensors


def _word(value: bool | float) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"
