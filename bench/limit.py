"""How long a step would take if the machine did nothing but its matrix products, at their best."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

from backend.models.dimensions import Dimensions, from_config
from backend.models.products import product
from backend.training.contexts import read_prompts
from backend.training.packing import pack
from backend.training.prefill import tree_of_batch
from backend.training.trainer import Trainer
from bench.engines import Work
from bench.spread import median_and_spread

# Rows of a product, and how often it is tried.
_ROWS: Final = 512
_TRIES: Final = 10


def limit_of(
    trainer: Trainer, work: Work, rates: Sequence[float], steps_s: Sequence[float]
) -> dict[str, Any]:
    """A step's arithmetic, and what share of each step's time it takes at that moment's rate."""
    size = dimensions_of(trainer)
    parts = gflop_of(trainer, work, size)
    gflop = parts.products + parts.attention
    shares = [gflop / rate / step_s for rate, step_s in zip(rates, steps_s, strict=True)]
    share, spread = median_and_spread(shares)
    return {
        "gflop": gflop,
        "gflops": list(rates),
        "share": share,
        "spread": spread,
    }


def dimensions_of(trainer: Trainer) -> Dimensions:
    size = from_config(trainer.model.network.config.to_dict())
    assert size is not None
    return size


def product_rate(inputs: int, outputs: int) -> float:
    """10^9 multiplications and additions a second of a product: the median of some.

    A step is held against what the machine gave right before and after it: others share it.
    """
    rows, weight = torch.randn(_ROWS, inputs), torch.randn(outputs, inputs)
    seconds = []
    for _ in range(_TRIES):
        began_s = time.perf_counter()
        product(rows, weight)
        seconds.append(time.perf_counter() - began_s)
    return 2 * _ROWS * inputs * outputs / statistics.median(seconds) / 1e9


@dataclass(frozen=True)
class Gflop:
    """10^9 multiplications and additions of a step: by weights, and between tokens by attention.

    ``forward`` are those by weights that the student's forward pass would take by itself.
    """

    products: float
    attention: float
    forward: float


def gflop_of(trainer: Trainer, work: Work, size: Dimensions) -> Gflop:
    """What one step must compute, with what rows share computed once.

    Prompts, then tokens one by one, both with merged weights; the teacher's and the student's pass
    over prompts and completions; the student's backward pass, which asks for no gradient of base
    weights; logits of each token by both sides, and their gradient.
    """
    config, model = trainer.config, trainer.model
    prompts = read_prompts(model.tokenizer, work.answered, config.teacher)
    assert prompts.teacher is not None
    written = len(work.answered) * work.new_tokens
    low_rank = 2.0 * config.adapter.rank * size.adapter_width
    base = 2.0 * size.active
    _, alone = pairs_and_tokens(prompts.student, 1)
    teacher_pairs, teacher = pairs_and_tokens(prompts.teacher, work.new_tokens)
    student_pairs, student = pairs_and_tokens(prompts.student, work.new_tokens)
    forward = student * (base + low_rank)
    products = (alone + written - len(work.answered)) * base + teacher * (base + low_rank)
    # Backward: the rows' gradients cost what the rows did, A's and B's as much as they did again.
    products += 2 * forward + student * low_rank
    products += 4 * written * 2.0 * size.hidden * size.vocabulary
    # Writing compares what the student's forward pass does; the backward pass as much again.
    pairs = teacher_pairs + 3 * student_pairs
    attention = 4.0 * size.layers * size.attention * pairs
    return Gflop(products / 1e9, attention / 1e9, forward / 1e9)


def pairs_and_tokens(prompts: list[list[int]], new_tokens: int) -> tuple[int, int]:
    """Pairs of tokens that attention compares, and tokens, of prompts with completions."""
    tree = tree_of_batch(pack(prompts, [[0] * new_tokens] * len(prompts), 0, torch.device("cpu")))
    pairs = sum(
        segment.length * segment.position + segment.length * (segment.length + 1) // 2
        for segment in tree.segments
    )
    return pairs, len(tree.ids)
