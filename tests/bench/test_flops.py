"""What a step computes, counted operation by operation, is what the bench's formula says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from backend.training.step import training_step
from bench.engines import Work, lab_trainer
from bench.limit import dimensions_of, gflop_of
from bench.step import demonstrations
from tests.tiny_model import build_model

NEW_TOKENS = 12


def _of_rows(given: Sequence[Any], found: Tensor) -> int:
    return 2 * given[0].numel() * found.shape[-1]


def _added(given: Sequence[Any], found: Tensor) -> int:
    return 2 * given[1].numel() * found.shape[-1]


# Multiplications and additions by weights. Merging (addmm) is not counted: the formula has none.
_COUNTED: Final[Mapping[str, Callable[[Sequence[Any], Any], int]]] = {
    "mkldnn::_linear_pointwise": _of_rows,
    "aten::mm": _of_rows,
    "aten::addmm_": _added,
}


class CountedFlop(TorchDispatchMode):  # type: ignore[misc]
    """Adds up what operations compute while it is entered.

    (torch's FlopCounterMode hooks gradients of modules, which ``autograd.grad`` refuses.)
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        count = _COUNTED.get(func.overloadpacket._qualified_op_name)
        if count is not None:
            self.total += count(args, found)
        return found


@pytest.mark.parametrize("per_prompt", [1, 3])
def test_a_step_computes_what_the_formula_says(
    per_prompt: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once with a forward pass of the student's own, which the formula counts, once without."""
    folder = build_model(tmp_path)
    work = Work(demonstrations(6), NEW_TOKENS, per_prompt)
    trainer = lab_trainer(folder, work, 0)
    expected = gflop_of(trainer, work, dimensions_of(trainer))
    counted = []
    for keeps in (False, True):
        with monkeypatch.context() as patched:
            if not keeps:
                patched.setattr("backend.training.step.keeps_activations", lambda *_: False)
            with CountedFlop() as mode:
                training_step(trainer, work.rows, len(counted))
        counted.append(mode.total / 1e9)
    assert counted[0] == pytest.approx(expected.products, rel=0.1)
    assert counted[0] - counted[1] == pytest.approx(expected.forward, rel=0.1)
