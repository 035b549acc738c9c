"""Frozen linear layers with one input as one product, with the LoRA adapters that they have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from backend.models.products import adapters_in_use, base_of, product


class Adapted:
    """y = x W^T + b + (x A^T) B^T, with frozen W and b.

    The layers' weights lie one below the other, and become views of one tensor. So do all A; B has
    each layer's, times its scale, at the place of its outputs and of its share of x A^T.
    """

    def __init__(self, layers: Sequence[Any]) -> None:
        self._layers = layers
        bases = [base_of(layer) for layer in layers]
        self._weight_OI = _joined([base.weight for base in bases])
        self._bias_O = None if bases[0].bias is None else torch.cat([b.bias for b in bases])
        self._widths = [len(base.weight) for base in bases]
        # A and B of each layer.
        self.count = 2 * len(layers)

    @staticmethod
    def can_join(layers: Sequence[Any]) -> bool:
        """Whether these are linear layers of one kind, none of whose own weights trains."""
        bases = [base_of(layer) for layer in layers]
        kinds = {(type(base), base.weight.dtype, base.bias is None) for base in bases}
        frozen = not any(p.requires_grad for base in bases for p in base.parameters())
        return frozen and len(kinds) == 1 and kinds.pop()[0] is nn.Linear

    @property
    def is_current(self) -> bool:
        """Whether the layers' weights are still views of one tensor; they may have been moved."""
        first: Tensor = base_of(self._layers[0]).weight
        return first.data_ptr() == self._weight_OI.data_ptr()

    @property
    def is_plain(self) -> bool:
        """Whether each layer has one adapter switched on at most, and that plain LoRA."""
        return all(
            not names or (len(names) == 1 and names[0] not in layer.lora_variant)
            for layer, names in ((each, adapters_in_use(each)) for each in self._layers)
        )

    def weights(self) -> list[Tensor | None]:
        """A [R, I] and B [O, R] of each layer, as they are now; None where there is no adapter."""
        found: list[Tensor | None] = []
        for layer in self._layers:
            sides = [layer.lora_A, layer.lora_B] if adapters_in_use(layer) else []
            found += [side[layer.active_adapters[0]].weight for side in sides] or [None, None]
        return found

    def forward(
        self, rows_NI: Tensor, weights: Sequence[Tensor | None]
    ) -> tuple[Tensor, Tensor | None]:
        """y [N, O], and x A^T [N, R], which :meth:`backward` needs."""
        rows_NO = product(rows_NI, self._weight_OI, self._bias_O)
        down_RI = _downs(weights, rows_NI.dtype)
        if down_RI is None:
            return rows_NO, None
        rows_NR = product(rows_NI, down_RI)
        return rows_NO.addmm_(rows_NR, self._ups(weights, down_RI).t()), rows_NR

    def backward(
        self,
        gradient_NO: Tensor,
        rows_NI: Tensor,
        rows_NR: Tensor | None,
        weights: Sequence[Tensor | None],
        asks_rows: bool = True,
    ) -> tuple[Tensor | None, list[Tensor | None]]:
        """Gradients of the rows, if they are asked for, and of each layer's A and B.

        ``rows_NR`` is found anew where it is None.
        """
        rows = product(gradient_NO, self._weight_OI.t()) if asks_rows else None
        found: list[Tensor | None] = [None] * len(weights)
        down_RI = _downs(weights, rows_NI.dtype)
        if down_RI is None:
            return rows, found
        rows_NR = product(rows_NI, down_RI) if rows_NR is None else rows_NR
        asked_NR = product(gradient_NO, self._ups(weights, down_RI).t())
        if rows is not None:
            rows.addmm_(asked_NR, down_RI)
        # oneDNN is fast where the long axis of its left side is whole.
        downs_RI = product(asked_NR.t().contiguous(), rows_NI.t())
        ups_RO = product(rows_NR.t().contiguous(), gradient_NO.t())
        for place, down, up, scale, own, span in self._adapters(weights):
            found[place] = downs_RI[own].to(down.dtype)
            found[place + 1] = (ups_RO[own, span].t() * scale).to(up.dtype)
        return rows, found

    def _ups(self, weights: Sequence[Tensor | None], down_RI: Tensor) -> Tensor:
        """All B times their scales, [O, R]."""
        ups_OR = down_RI.new_zeros(sum(self._widths), len(down_RI))
        for _, _, up, scale, own, span in self._adapters(weights):
            torch.mul(up, scale, out=ups_OR[span, own])
        return ups_OR

    def _adapters(
        self, weights: Sequence[Tensor | None]
    ) -> Iterator[tuple[int, Tensor, Tensor, float, slice, slice]]:
        """Of each adapter: its place in ``weights``, A, B, scale, and its share of R and of O."""
        rank = width = 0
        for i, (layer, wide) in enumerate(zip(self._layers, self._widths, strict=True)):
            down, up = weights[2 * i : 2 * i + 2]
            if down is not None and up is not None:
                own, span = slice(rank, rank + len(down)), slice(width, width + wide)
                yield 2 * i, down, up, layer.scaling[layer.active_adapters[0]], own, span
                rank = own.stop
            width += wide


def _downs(weights: Sequence[Tensor | None], dtype: torch.dtype) -> Tensor | None:
    """All A, one below the other, [R, I]; None where there is none."""
    downs = [weight.to(dtype) for weight in weights[::2] if weight is not None]
    return torch.cat(downs) if downs else None


def _joined(weights: Sequence[nn.Parameter]) -> Tensor:
    """The weights [O, I] one below the other, which they become views of."""
    if len(weights) == 1:
        return weights[0].detach()
    joined_OI = torch.cat([weight.detach() for weight in weights])
    parts = torch.split(joined_OI, [len(weight) for weight in weights])
    for weight, part in zip(weights, parts, strict=True):
        weight.data = part
    return joined_OI
