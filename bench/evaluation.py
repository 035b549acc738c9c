"""Times the lab's lm-eval probes against lm-eval's own HF backend on the same items, in turns.

    python -m bench.evaluation [--items 1000] [--pairs 5] [--json FILE]

The items are scored in as many parts as there are pairs, each part by the lab and then by lm-eval's
HFLM over the same network with PEFT's own layers, at the fastest of a few batch sizes. Loading the
task and merging the adapter are in the times. A figure is the median of the pairs' ratios.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import lm_eval  # type: ignore[import-untyped]
import torch
from lm_eval.api.instance import Instance  # type: ignore[import-untyped]
from lm_eval.models.huggingface import HFLM  # type: ignore[import-untyped]
from lm_eval.tasks import TaskManager  # type: ignore[import-untyped]
from transformers import AutoTokenizer

from backend.config import DEFAULT_MODEL, AdapterConfig
from backend.evaluation.benchmarks import BenchmarkProbe
from backend.evaluation.lm_eval_model import lm_eval_model
from backend.models.compute import choose_compute
from backend.models.language_model import LanguageModel, load_model
from backend.models.materialise import local_folder
from backend.settings import Settings
from bench.items import Item, items_of_facts, write_task
from bench.machine import machine_document, save
from bench.plain import plain
from bench.spread import median_and_spread

TARGETS: Final = {"choices": 2.0, "written answers": None}
METRICS: Final = {"choices": "acc", "written answers": "exact_match"}
AGREEMENT: Final = 1e-4
BATCH_SIZES: Final = (8, 16, 32, 64)
# So many items are tried with each batch size, and compared choice by choice.
_TRIED: Final = 40
_PACKAGES: Final = ("torch", "transformers", "peft", "lm-eval")


@dataclass(frozen=True)
class Timed:
    """One part's scores and answers as one side has them, and the seconds that it took."""

    seconds: float
    scored: Sequence[tuple[float, str]]


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the ratios; 1 where the target is missed or the scores differ."""
    parser = argparse.ArgumentParser(prog="python -m bench.evaluation")
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    machine = machine_document(_PACKAGES)
    folder = local_folder(DEFAULT_MODEL, Settings().home)
    model = load_model(DEFAULT_MODEL, folder, choose_compute(options.threads))
    disturbed_adapter(model)
    items = items_of_facts(options.items)
    results = [
        compared(model, "choices", items, options.pairs),
        compared(model, "written answers", items[: len(items) // 10], options.pairs),
    ]
    document = {"results": results, "threads": torch.get_num_threads(), "machine": machine}
    save(options.json, document)
    return int(any(result["missed"] for result in results))


def disturbed_adapter(model: LanguageModel) -> None:
    """A LoRA adapter of rank 16 that changes the logits."""
    model.add_adapter(AdapterConfig(rank=16), seed=0)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.adapter_parameters().items():
        if "lora_B" in name:
            parameter.data.normal_(0.0, 0.01, generator=generator)


def compared(model: LanguageModel, work: str, items: Sequence[Item], pairs: int) -> dict[str, Any]:
    """What both sides took for the items, and whether they scored these alike."""
    with tempfile.TemporaryDirectory() as tasks:
        parts = [Path(tasks, str(number)) for number in range(pairs + 1)]
        for number, part in enumerate(parts[1:]):
            write_task(part, work, items[number::pairs])
        write_task(parts[0], work, items[:_TRIED])
        _lab(model, work, parts[0])  # Warms up, as the other side's tries do.
        tried = {size: _theirs(model, work, parts[0], size).seconds for size in BATCH_SIZES}
        best = min(tried, key=tried.__getitem__)
        timed = [(_lab(model, work, part), _theirs(model, work, part, best)) for part in parts[1:]]
    apart = likelihoods_apart(model, items[:_TRIED])
    result = result_of(work, timed, apart) | {"batch_size": best, "tried_s": tried}
    _print(result)
    return result


def result_of(work: str, timed: Sequence[tuple[Timed, Timed]], apart: float) -> dict[str, Any]:
    """The pairs as a document; missed by a ratio below the target, or by scores that differ."""
    ratios = [theirs.seconds / lab.seconds for lab, theirs in timed]
    (ratio, spread), target = median_and_spread(ratios), TARGETS[work]
    differing = sum(
        one != other
        for lab, theirs in timed
        for one, other in zip(lab.scored, theirs.scored, strict=True)
    )
    return {
        "work": work,
        "items": sum(len(lab.scored) for lab, _ in timed),
        "lab_s": [lab.seconds for lab, _ in timed],
        "lm_eval_s": [theirs.seconds for _, theirs in timed],
        "ratio": ratio,
        "spread": spread,
        "target": target,
        "score": statistics.mean(score for lab, _ in timed for score, _ in lab.scored),
        "differing_items": differing,
        "likelihoods_apart": apart,
        "missed": (target is not None and ratio < target) or differing > 0 or apart > AGREEMENT,
    }


def _lab(model: LanguageModel, work: str, tasks: Path) -> Timed:
    """The probe that a run asks for as ``lm-eval:TASK:METRIC``."""
    began_s = time.perf_counter()
    found = BenchmarkProbe(f"lm-eval:bench:{METRICS[work]}", tasks).run(model, 0)
    return Timed(time.perf_counter() - began_s, [(i.score, i.answer.strip()) for i in found])


def _theirs(model: LanguageModel, work: str, tasks: Path, batch_size: int) -> Timed:
    began_s = time.perf_counter()
    with plain(model):
        found: Any = lm_eval.simple_evaluate(
            _hugging_face(model, batch_size),
            tasks=["bench"],
            task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
            bootstrap_iters=0,
        )
    took_s = time.perf_counter() - began_s
    samples = sorted(found["samples"]["bench"], key=lambda sample: int(sample["doc_id"]))
    return Timed(took_s, [(float(each[METRICS[work]]), _answer(each)) for each in samples])


def _answer(sample: Mapping[str, Any]) -> str:
    """The likeliest choice, or what was written."""
    if isinstance(sample["filtered_resps"][0], str):
        return str(sample["filtered_resps"][0]).strip()
    logprobs = [logprob for logprob, _ in sample["filtered_resps"]]
    return str(sample["arguments"][logprobs.index(max(logprobs))][1]).strip()


def likelihoods_apart(model: LanguageModel, items: Sequence[Item]) -> float:
    """The largest difference in nats between the two sides' log-likelihoods of all choices.

    Infinite where they do not agree on which choice is the greedy answer.
    """
    pairs = [(item.context, choice) for item in items for choice in item.choices]
    asked = [Instance("loglikelihood", {}, pair, place) for place, pair in enumerate(pairs)]
    with torch.no_grad(), model.merged():
        ours = lm_eval_model(model).loglikelihood(asked, disable_tqdm=True)
    with plain(model):
        theirs = _hugging_face(model, BATCH_SIZES[0]).loglikelihood(asked, disable_tqdm=True)
    if [is_greedy for _, is_greedy in ours] != [is_greedy for _, is_greedy in theirs]:
        return float("inf")
    return float(max(abs(one - other) for (one, _), (other, _) in zip(ours, theirs, strict=True)))


def _hugging_face(model: LanguageModel, batch_size: int) -> Any:
    return HFLM(
        pretrained=model.network,
        tokenizer=AutoTokenizer.from_pretrained(model.tokenizer.folder),
        backend="causal",
        max_length=model.context_length,
        batch_size=batch_size,
    )


def _print(result: dict[str, Any]) -> None:
    low, high = result["spread"]
    print(
        f"{result['work']}: {result['items']} items in {sum(result['lab_s']):.1f} s, by lm-eval's "
        f"HFLM at batch size {result['batch_size']} in {sum(result['lm_eval_s']):.1f} s, "
        f"ratio {result['ratio']:.2f} ({low:.2f} to {high:.2f}), target {result['target']}; "
        f"score {result['score']:.3f}, {result['differing_items']} items differ, "
        f"log-likelihoods by at most {result['likelihoods_apart']:.1e}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
