"""How long a step would take if the machine did nothing but its matrix products, at their best."""

from __future__ import annotations

import time
from typing import Final

import torch

from backend.models.dimensions import Dimensions, from_config
from backend.models.products import product
from backend.training.contexts import read_prompts
from backend.training.packing import pack
from backend.training.prefill import tree_of_batch
from backend.training.step import Trainer
from bench.engines import Work

# Rows of a product at its best, and how often it is tried.
_ROWS: Final = 512
_TRIES: Final = 30


def limit_of(trainer: Trainer, work: Work, step_s: float) -> dict[str, float]:
    """A step's arithmetic, the rate of this machine's products, and their share of ``step_s``."""
    model = trainer.model
    size = from_config(model.network.config.to_dict())
    assert size is not None
    gflop = _gflop(trainer, work, size)
    gflops = product_rate(size.hidden, 2 * size.mlp)
    limit_s = gflop / gflops
    return {"gflop": gflop, "gflops": gflops, "limit_s": limit_s, "share": limit_s / step_s}


def product_rate(inputs: int, outputs: int) -> float:
    """10^9 multiplications and additions a second of the model's widest layer: the best of some."""
    rows, weight = torch.randn(_ROWS, inputs), torch.randn(outputs, inputs)
    best_s = float("inf")
    for _ in range(_TRIES):
        began_s = time.perf_counter()
        product(rows, weight)
        best_s = min(best_s, time.perf_counter() - began_s)
    return 2 * _ROWS * inputs * outputs / best_s / 1e9


def _gflop(trainer: Trainer, work: Work, size: Dimensions) -> float:
    """What one step must compute, with what rows share computed once.

    Prompts, then tokens one by one, both with merged weights; the teacher's and the student's pass
    over prompts and completions; the student's backward pass, which asks for no gradient of base
    weights; logits of each token by both sides, and their gradient.
    """
    config, model = trainer.config, trainer.model
    prompts = read_prompts(model.tokenizer, work.answered, config.teacher)
    assert prompts.teacher is not None
    written = len(work.answered) * work.new_tokens
    head = 2.0 * size.hidden * size.vocabulary
    low_rank = 2.0 * config.adapter.rank * size.adapter_width
    alone = pairs_and_tokens(prompts.student, 1)
    teacher = pairs_and_tokens(prompts.teacher, work.new_tokens)
    student = pairs_and_tokens(prompts.student, work.new_tokens)

    def layers(read: tuple[int, int], adapted: bool) -> float:
        pairs, tokens = read
        products = tokens * (2.0 * size.active + low_rank * adapted)
        return products + 4.0 * size.layers * size.attention * pairs

    decoded = (student[0] - alone[0], written - len(work.answered))
    flop = layers(alone, False) + layers(decoded, False) + written * head
    flop += layers(teacher, True) + written * head
    # Backward: the rows' gradients cost what the rows did, A's and B's as much as they did again.
    flop += 2 * layers(student, True) + student[1] * low_rank + 2 * written * head
    return flop / 1e9


def pairs_and_tokens(prompts: list[list[int]], new_tokens: int) -> tuple[int, int]:
    """Pairs of tokens that attention compares, and tokens, of prompts with completions."""
    tree = tree_of_batch(pack(prompts, [[0] * new_tokens] * len(prompts), 0, torch.device("cpu")))
    pairs = sum(
        segment.length * segment.position + segment.length * (segment.length + 1) // 2
        for segment in tree.segments
    )
    return pairs, len(tree.ids)
