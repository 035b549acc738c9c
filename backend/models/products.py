"""Products with frozen weights in fp32 on a CPU, with and without a LoRA adapter beside them.

torch's own choice for fp32 is a library that leaves a third of some processors' speed unused;
oneDNN, which torch carries too, does not. Frozen weights ask for no gradient of their own, and an
adapter's share is added in place, so that nothing of a layer's size is written twice.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.nn.functional import linear
from transformers.pytorch_utils import Conv1D


def use_products(network: nn.Module) -> None:
    """Lets the network's linear layers compute by this module, wherever it can serve them."""
    if packs():
        for layer in linear_layers(network):
            layer.__dict__["forward"] = partial(_forward, layer)


@cache
def packs() -> bool:
    """Whether products are faster by oneDNN than by torch's own choice; measured on x86 alone."""
    is_built = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(is_built) and platform.machine() in {"x86_64", "AMD64"}


def is_served(weight: Tensor) -> bool:
    """Whether oneDNN multiplies by this weight here."""
    return packs() and weight.device.type == "cpu" and weight.dtype == torch.float32


def linear_layers(network: nn.Module) -> Iterator[nn.Module]:
    """The network's linear layers; an adapted one as a whole."""
    for child in network.children():
        if type(base_of(child)) in {nn.Linear, Conv1D}:
            yield child
        else:
            yield from linear_layers(child)


def base_of(layer: Any) -> Any:
    """The linear layer without its adapter, if it has one."""
    return layer.get_base_layer() if isinstance(layer, LoraLayer) else layer


def as_output_input(base: Any, weight: Tensor) -> Tensor:
    """A weight of the layer ``base`` as [O, I]; GPT-2 keeps its own the other way round."""
    return weight.t() if isinstance(base, Conv1D) else weight


def adapters_in_use(layer: Any) -> list[str]:
    """The names of a layer's adapters that are switched on."""
    if not isinstance(layer, LoraLayer) or layer.disable_adapters:
        return []
    return [name for name in layer.active_adapters if name in layer.lora_A]


def product(rows_NI: Tensor, weight_OI: Tensor, bias_O: Tensor | None = None) -> Tensor:
    """[N, O], without gradient. The weight is as torch or as oneDNN holds it."""
    if not is_served(weight_OI):
        return linear(rows_NI, weight_OI, bias_O)
    found: Tensor = torch.ops.mkldnn._linear_pointwise(rows_NI, weight_OI, bias_O, "none", [], "")
    return found


def _forward(layer: Any, inputs: Tensor) -> Tensor:
    base, names = base_of(layer), adapters_in_use(layer)
    weight_OI = as_output_input(base, base.weight)
    is_plain = len(names) <= 1 and not any(name in layer.lora_variant for name in names)
    if not is_plain or weight_OI.requires_grad or not is_served(weight_OI):
        found: Tensor = type(layer).forward(layer, inputs)
        return found
    low_rank: tuple[Any, ...] = (None, None, 0.0)
    for name in names:
        down, up = layer.lora_A[name].weight, layer.lora_B[name].weight
        low_rank = (down, up, layer.scaling[name])
    rows_NI = inputs.reshape(-1, inputs.shape[-1])
    rows_NO: Tensor = _Product.apply(  # type: ignore[no-untyped-call]
        rows_NI, weight_OI, base.bias, *low_rank
    )
    return rows_NO.view(*inputs.shape[:-1], -1)


class _Product(torch.autograd.Function):
    """x W^T + b + s (x A^T) B^T for frozen W; A and B may be missing."""

    @staticmethod
    def forward(
        ctx: Any,
        rows_NI: Tensor,
        weight_OI: Tensor,
        bias_O: Tensor | None,
        down_RI: Tensor | None,
        up_OR: Tensor | None,
        scale: float,
    ) -> Tensor:
        rows_NO = product(rows_NI, weight_OI, bias_O)
        ctx.scale = scale
        if down_RI is None or up_OR is None:
            ctx.save_for_backward(weight_OI)
            return rows_NO
        rows_NR = rows_NI @ down_RI.t()
        ctx.save_for_backward(weight_OI, rows_NI, rows_NR, down_RI, up_OR)
        return rows_NO.addmm_(rows_NR, up_OR.t(), alpha=scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        gradient_NO = gradients[0].contiguous()
        weight_OI, *low_rank = ctx.saved_tensors
        asks_inputs = ctx.needs_input_grad[0]
        inputs_NI = product(gradient_NO, weight_OI.t()) if asks_inputs else None
        if not low_rank:
            return inputs_NI, None, None, None, None, None
        rows_NI, rows_NR, down_RI, up_OR = low_rank
        gradient_NR = (gradient_NO @ up_OR).mul_(ctx.scale)
        if inputs_NI is not None:
            inputs_NI.addmm_(gradient_NR, down_RI)
        up = (gradient_NO.t() @ rows_NR).mul_(ctx.scale)
        return inputs_NI, None, None, gradient_NR.t() @ rows_NI, up, None
