"""How a step's loss grows: its time with the tokens, and its memory with tokens and vocabulary.

    python -m bench.growth [--tries 5] [--json FILE]

Time: forward and backward pass and divergence of one row, teacher and student, without writing.
Memory: what the divergence adds to the hidden states it is given, at the most. All lengths take
turns; a figure is the median of the tries' ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from backend.config import DEFAULT_MODEL, AdapterConfig, DivergenceConfig
from backend.models.compute import choose_compute
from backend.models.language_model import LanguageModel, OutputHead, load_model
from backend.models.materialise import local_folder
from backend.settings import Settings
from backend.training.divergence import CHUNK_TOKENS, Temperatures, compare
from backend.training.packing import pack_for
from backend.training.prefill import completion_hidden
from bench.machine import machine_document, save
from bench.memory import forget_peak, mib
from bench.spread import median_and_spread

TOKENS: Final = (256, 512, 1024, 2048)
VOCABULARIES: Final = (49_152, 98_304, 196_608)
_PROMPT: Final = 32
_HIDDEN: Final = 576
_DIVERGENCE: Final = DivergenceConfig(kind="forward_kl")
# A token at the longest may take so many times what one takes at the shortest: attention is between
# all pairs. The divergence of eight times the tokens may take so many times the memory.
TIME_TARGET: Final = 1.5
MEMORY_TARGET: Final = 1.5
_PACKAGES: Final = ("torch", "transformers", "peft")


def main(argv: Sequence[str] | None = None) -> int:
    """Prints both tables; 1 where a target is missed."""
    options = _parse(argv)
    if options.vocabulary:
        print(json.dumps(_added_mib(options.vocabulary, options.tokens)))
        return 0
    machine = machine_document(_PACKAGES)
    seconds = _seconds(options.tries, options.threads)
    memory = {v: _memory(v, options.tries) for v in VOCABULARIES}
    tokens_ratio = TOKENS[-1] / TOKENS[0]
    ratios = [ratio / tokens_ratio for ratio in _ratios(seconds)]
    ratio, spread = median_and_spread(ratios)
    grown = {v: median_and_spread(_ratios(of)) for v, of in memory.items()}
    for tokens, tries_s in seconds.items():
        s = statistics.median(tries_s)
        print(f"{tokens:5} tokens: {s:6.2f} s, {1000 * s / tokens:.2f} ms a token")
    print(f"a token at {TOKENS[-1]} takes {ratio:.2f} ({spread[0]:.2f} to {spread[1]:.2f}) of one "
          f"at {TOKENS[0]}, target {TIME_TARGET}")  # fmt: skip
    for vocabulary, of in memory.items():
        row = ", ".join(f"{tokens}: {statistics.median(mibs):.0f}" for tokens, mibs in of.items())
        times, (low, high) = grown[vocabulary]
        print(f"vocabulary {vocabulary}: MiB by tokens {row}; {times:.2f} times "
              f"({low:.2f} to {high:.2f}) as much, target {MEMORY_TARGET}; a chunk's "
              f"logits are {CHUNK_TOKENS * vocabulary * 4 / 2**20:.0f}")  # fmt: skip
    most, most_spread = max(grown.values())
    missed = ratio > TIME_TARGET or most > MEMORY_TARGET
    result = {"seconds": seconds, "ratio": ratio, "spread": spread, "target": TIME_TARGET,
              "memory_mib": memory, "memory_target": MEMORY_TARGET, "missed": missed,
              "memory": {"ratio": most, "spread": most_spread},
              "machine": machine}  # fmt: skip
    save(options.json, result)
    return int(missed)


def _ratios(found: Mapping[int, Sequence[float]]) -> list[float]:
    """Of each try, what the longest took over what the shortest did."""
    pairs = zip(found[TOKENS[0]], found[TOKENS[-1]], strict=True)
    return [longest / shortest for shortest, longest in pairs]


def _seconds(tries: int, threads: int) -> dict[int, list[float]]:
    """The times of a row's loss, by its completion's tokens. The first try warms up."""
    folder = local_folder(DEFAULT_MODEL, Settings().home)
    model = load_model("bench", folder, choose_compute(threads))
    model.add_adapter(AdapterConfig(rank=16, alpha=32), seed=0)
    taken: dict[int, list[float]] = {tokens: [] for tokens in TOKENS}
    for _ in range(tries + 1):
        for tokens, found in taken.items():
            began_s = time.perf_counter()
            _loss(model, tokens)
            found.append(time.perf_counter() - began_s)
    return {tokens: found[1:] for tokens, found in taken.items()}


def _loss(model: LanguageModel, tokens: int) -> None:
    generator = torch.Generator().manual_seed(tokens)
    ids = torch.randint(100, 40_000, (_PROMPT + tokens,), generator=generator).tolist()
    batch = pack_for(model, [ids[:_PROMPT]], [ids[_PROMPT:]])
    with torch.no_grad():
        teacher_NH = completion_hidden(model, batch)
    student_NH = completion_hidden(model, batch)
    compared = compare(
        model.head, student_NH, teacher_NH, batch.completion_ids_N, _DIVERGENCE, Temperatures()
    )
    compared.divergence_N.mean().backward()  # type: ignore[no-untyped-call]


def _memory(vocabulary: int, tries: int) -> dict[int, list[float]]:
    """MiB that the divergence takes, by tokens."""
    taken: dict[int, list[float]] = {tokens: [] for tokens in TOKENS}
    for _ in range(tries):
        for tokens, found in taken.items():
            found.append(_in_a_process(vocabulary, tokens))
    return taken


def _in_a_process(vocabulary: int, tokens: int) -> float:
    command = [sys.executable, "-m", "bench.growth", f"--vocabulary={vocabulary}",
               f"--tokens={tokens}"]  # fmt: skip
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout.splitlines()[-1])


def _added_mib(vocabulary: int, tokens: int) -> float:
    """What the divergence of so many tokens takes at the most, gradients of hidden states included.

    A chunk goes before, so that what torch itself needs is there.
    """
    layer = nn.Linear(_HIDDEN, vocabulary, bias=False).requires_grad_(False)
    head = OutputHead(layer, 1.0, None)
    student_NH, teacher_NH = (torch.randn(tokens, _HIDDEN) for _ in range(2))
    ids_N = torch.randint(vocabulary, (tokens,))

    def loss(count: int) -> Any:
        rows_NH = student_NH[:count].clone().requires_grad_()
        found = compare(head, rows_NH, teacher_NH[:count], ids_N[:count], _DIVERGENCE,
                        Temperatures())  # fmt: skip
        return found.divergence_N.sum().backward()  # type: ignore[no-untyped-call]

    loss(1)
    before_mib = forget_peak()
    loss(tokens)
    return mib("VmHWM") - before_mib


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.growth")
    parser.add_argument("--tries", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--vocabulary", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--tokens", type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
