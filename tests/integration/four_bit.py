"""A step on a base in 4 bits against the same step on what its 4 bits say: `make four-bit`.

It needs bitsandbytes (`pip install ".[4bit]"`), which the tests do without, and no GPU: on a
processor with AVX512-BF16 it repacks weights at the first pass without gradient, and gradients do
not get through these, for which the lab refuses 4 bits there. Here that is turned off, so that
weights are read as on a GPU: dequantized, and multiplied.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from backend.models.compute import Compute
from backend.models.language_model import LanguageModel, load_model
from backend.training.checkpoints import load_adapter, save_adapter
from backend.training.loop import make_trainer
from tests.tiny_model import build_model
from tests.training.tiny_runs import (
    demonstrations,
    disturb_adapter,
    gradients_of_step,
    logits_of,
    tiny_config,
)

CPU = Compute(torch.device("cpu"), torch.float32)
CHOICES: dict[str, dict[str, Any]] = {
    "sft": {"method": "sft"},
    "sdft, ema": {"rollout__source": "demonstration"},
    "sdft, base teacher": {"teacher__weights": "base", "rollout__source": "demonstration"},
    "sdft, DoRA": {"adapter__dora": True, "rollout__source": "demonstration"},
}
# Of the whole gradient's length.
TOLERANCE = 1e-4


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a folder; a tiny model without it")
    chosen = parser.parse_args()
    import bitsandbytes

    bitsandbytes.nn.modules.has_avx512bf16 = lambda: False
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.model or build_model(Path(scratch) / "tiny")
        differing = {name: compared(folder, choices) for name, choices in CHOICES.items()}
        comes_back = adapter_comes_back(folder, Path(scratch))
    for name, (loss, gradient) in differing.items():
        print(
            f"{name}: the loss differs by {loss:.1e}, the gradient by {gradient:.1e} of its length"
        )
    print(f"a stored adapter on the base in 4 bits is the student: {comes_back}")
    has_failed = max(gradient for _, gradient in differing.values()) > TOLERANCE
    return int(has_failed or not comes_back)


def compared(folder: Path, choices: dict[str, Any]) -> tuple[float, float]:
    """How far loss and gradient of one step are from those on the dequantized base."""
    config = tiny_config(**{"method": "sdft", **choices})
    steps = []
    for model in (in_four_bits(folder), dequantized(folder)):
        trainer = make_trainer(model, config, None)
        disturb_adapter(trainer.model, scale=0.02)
        steps.append(gradients_of_step(trainer, demonstrations(4)))
    (ours, our_gradients), (theirs, gradients) = steps
    one, other = (
        torch.cat([gradient.flatten() for gradient in side.values()])
        for side in (our_gradients, gradients)
    )
    return abs(ours.loss - theirs.loss), float((one - other).norm() / other.norm())


def adapter_comes_back(folder: Path, scratch: Path) -> bool:
    config = tiny_config("sft")
    trainer = make_trainer(in_four_bits(folder), config, None)
    disturb_adapter(trainer.model, scale=0.02)
    save_adapter(trainer.model, scratch)
    other = make_trainer(in_four_bits(folder), config, None)
    load_adapter(other.model, scratch)
    return torch.equal(logits_of(other.model), logits_of(trainer.model))


def in_four_bits(folder: Path) -> LanguageModel:
    return load_model(str(folder), folder, CPU, four_bit=True)


def dequantized(folder: Path) -> LanguageModel:
    """The base with the weights that its 4 bits stand for."""
    from bitsandbytes.functional import dequantize_4bit
    from bitsandbytes.nn import Linear4bit

    model = load_model(str(folder), folder, CPU)
    layers = dict(model.network.named_modules())
    held = {
        name: layer
        for name, layer in in_four_bits(folder).network.named_modules()
        if isinstance(layer, Linear4bit)
    }
    assert held, "no layer is in 4 bits"
    for name, layer in held.items():
        weight = dequantize_4bit(layer.weight.data, layer.weight.quant_state)
        assert not torch.equal(weight, layers[name].weight)
        layers[name].weight.data.copy_(weight)
    return model


if __name__ == "__main__":
    sys.exit(main())
