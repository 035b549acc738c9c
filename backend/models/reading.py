"""A network made faster to read with: adapters added to their layers, which oneDNN then packs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn

from backend.models.fused import FusedReader, serves
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
def reading(causal: Any) -> Iterator[None]:
    """The weights that layers stand for, as products read them best, while the block only reads.

    ``causal`` is a transformers model, with or without adapters in its layers. What a
    :class:`FusedReader` knows, it reads; elsewhere each linear layer is one product. The weights
    themselves are not touched: what replaces them is a copy, gone after the block.
    """
    backbone = causal.base_model
    kept: list[tuple[nn.Module, Any]] = []

    def replace(module: nn.Module, forward: Any) -> None:
        kept.append((module, module.__dict__.get("forward")))
        module.__dict__["forward"] = forward

    try:
        with torch.no_grad():
            if serves(backbone):
                replace(backbone, FusedReader(backbone, _merged))
                layers = [causal.get_output_embeddings()]
            else:
                layers = list(linear_layers(causal))
            for layer in layers:
                weight_OI, bias_O = _merged([layer])
                replace(layer, partial(product, weight_OI=weight_OI, bias_O=bias_O))
        yield
    finally:
        for module, forward in kept:
            del module.__dict__["forward"]
            if forward is not None:
                module.__dict__["forward"] = forward


def _merged(layers: Sequence[nn.Module]) -> tuple[Tensor, Tensor | None]:
    """The weight [O, I] that layers with one input stand for, and the bias, each one's in turn."""
    bases = [base_of(layer) for layer in layers]
    weights = [as_output_input(base, base.weight.detach()) for base in bases]
    merged_OI = weights[0].new_empty(sum(map(len, weights)), weights[0].shape[1])
    parts = torch.split(merged_OI, [len(weight) for weight in weights])
    for layer, weight, part in zip(layers, weights, parts, strict=True):
        _merge(layer, weight, part)
    biases = [base.bias for base in bases]
    bias_O = None if biases[0] is None else torch.cat(biases)
    if not is_served(merged_OI):
        return merged_OI, bias_O
    return torch.ops.mkldnn._reorder_linear_weight(merged_OI, _ROWS), bias_O


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
