"""A network made faster to read with: adapters added to their layers, which oneDNN then packs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn

from backend.models.fused import FusedReader
from backend.models.llama import is_llama
from backend.models.products import (
    adapters_in_use,
    as_output_input,
    base_of,
    is_served,
    linear_layers,
    product,
)

# The rows that oneDNN's layout is chosen for; with 8 to 2,000 rows the same was as fast.
_ROWS: Final = 8


@contextlib.contextmanager
def reading(causal: Any, *, head: bool = True) -> Iterator[None]:
    """The weights that layers stand for, as products read them best, while the block only reads.

    ``causal`` is a transformers model, with or without adapters in its layers. What a
    :class:`FusedReader` knows, it reads; elsewhere each linear layer is one product. The weights
    themselves are not touched: what replaces them is a copy, gone after the block. Without ``head``
    that of a network that is read so stays as it is.
    """
    backbone = causal.base_model
    kept: list[tuple[nn.Module, Any]] = []

    def replace(module: nn.Module, forward: Any) -> None:
        kept.append((module, module.__dict__.get("forward")))
        module.__dict__["forward"] = forward

    merged = _Merging()
    try:
        with torch.no_grad():
            if is_llama(backbone):
                replace(backbone, FusedReader(backbone, merged))
                layers = [causal.get_output_embeddings()] if head else []
            else:
                layers = list(linear_layers(causal))
            for layer in layers:
                weight_OI, bias_O = merged([layer])
                replace(layer, partial(product, weight_OI=weight_OI, bias_O=bias_O))
        yield
    finally:
        for module, forward in kept:
            del module.__dict__["forward"]
            if forward is not None:
                module.__dict__["forward"] = forward


class _Merging:
    """Makes of layers with one input the weight [O, I] that they stand for, and their biases.

    A weight that oneDNN packs is a copy anyway: what it is packed from is written to the same
    memory for each, which is in the processor's cache then.
    """

    def __init__(self) -> None:
        self._memory = torch.empty(0)

    def __call__(self, layers: Sequence[nn.Module]) -> tuple[Tensor, Tensor | None]:
        """The weight, of several layers one below the other, and the bias, each one's in turn."""
        bases = [base_of(layer) for layer in layers]
        weights = [as_output_input(base, base.weight.detach()) for base in bases]
        biases = [base.bias for base in bases]
        bias_O = None if biases[0] is None else torch.cat(biases)
        is_packed = is_served(weights[0])
        if len(layers) == 1 and not adapters_in_use(layers[0]):
            merged_OI = weights[0]
        else:
            merged_OI = self._room(weights, is_packed)
            parts = torch.split(merged_OI, [len(weight) for weight in weights])
            for layer, weight, part in zip(layers, weights, parts, strict=True):
                _merge(layer, weight, part)
        if not is_packed:
            return merged_OI, bias_O
        return torch.ops.mkldnn._reorder_linear_weight(merged_OI, _ROWS), bias_O

    def _room(self, weights: Sequence[Tensor], is_shared: bool) -> Tensor:
        outputs, inputs = sum(map(len, weights)), weights[0].shape[1]
        if not is_shared:
            return weights[0].new_empty(outputs, inputs)
        if self._memory.numel() < outputs * inputs:
            self._memory = weights[0].new_empty(outputs * inputs)
        return self._memory[: outputs * inputs].view(outputs, inputs)


def _merge(layer: Any, weight_OI: Tensor, into_OI: Tensor) -> None:
    """Writes what the layer stands for, its adapter added."""
    names = adapters_in_use(layer)
    if len(names) == 1 and names[0] not in layer.lora_variant:
        (name,) = names
        up, down = layer.lora_B[name].weight, layer.lora_A[name].weight
        torch.addmm(weight_OI, up, down, alpha=layer.scaling[name], out=into_OI)
        return
    into_OI.copy_(weight_OI)
    for name in names:
        if name in layer.lora_variant:
            base = base_of(layer)
            own = as_output_input(base, into_OI).clone()
            into_OI.copy_(
                as_output_input(base, layer.lora_variant[name].merge_safe(layer, name, own))
            )
        else:
            into_OI.add_(as_output_input(base_of(layer), layer.get_delta_weight(name)))
