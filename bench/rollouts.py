"""Times rollouts of the lab against transformers' generate under PEFT, in turns, at T = 1.

    python -m bench.rollouts [--pairs 5] [--only plain|drafts] [--json FILE]

First with an adapter that has learned nothing and a fixed length, at 8, 16 and 32 rows. Then with a
student that has learned half of a skill, whose rollouts end by themselves and have the
demonstration as their draft: it is trained until half of its rollouts of rows held back for that
are right, and then writes others. A figure is the median of the pairs' ratios of tokens a second.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch

from backend.config import DEFAULT_MODEL
from backend.data.demonstration import Demonstration
from backend.methods import resolve
from backend.models.compute import choose_compute
from backend.models.language_model import LanguageModel, load_model
from backend.models.materialise import local_folder
from backend.settings import Settings
from backend.training.generation import Sampling, generate
from backend.training.loop import make_trainer
from backend.training.packing import left_pad
from backend.training.rollouts import demonstration_ids
from backend.training.step import training_step
from backend.training.trainer import Trainer
from bench.engines import write_on
from bench.machine import machine_document, save
from bench.plain import plain
from bench.spread import median_and_spread
from bench.step import demonstrations

TARGETS: Final = {"8 rows": 1.6, "16 rows": 2.0, "32 rows": 2.0, "8 rows, drafts": 3.0}
# Where a target could not be reached: what was, less what the machine's noise takes.
FLOORS: Final = {"8 rows, drafts": 2.0}
NEW_TOKENS: Final = 28
LEARNED: Final = 0.5
BATCH: Final = 8
# How often a student is judged, and after so many steps it should have learned half by far.
_JUDGED_EVERY: Final = 4
_MOST_STEPS: Final = 120
_PACKAGES: Final = ("torch", "transformers", "peft")
# Of all rows the last ones are written, those before them judge the student, others train it.
_WRITTEN: Final = 64
_JUDGING: Final = 64


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the ratios; 1 where a target is missed, or its floor where it has one."""
    parser = argparse.ArgumentParser(prog="python -m bench.rollouts")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--only", choices=("plain", "drafts"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    machine = machine_document(_PACKAGES)
    model = load_model(
        DEFAULT_MODEL,
        local_folder(DEFAULT_MODEL, Settings().home),
        choose_compute(options.threads),
    )
    trainer = _trainer(model)
    rows = demonstrations(400)
    results = []
    if options.only != "drafts":
        own_ends = model.tokenizer.eos_ids
        write_on(model)
        results += [_compared(model, rows[-count:], options.pairs, False) for count in (8, 16, 32)]
        model.tokenizer.eos_ids = own_ends
    if options.only != "plain":
        learned = _learn_half(trainer, rows[:-_WRITTEN])
        found = _compared(model, rows[-_WRITTEN:], options.pairs, True)
        results.append({**found, "student": learned})
    document = {"results": results, "threads": torch.get_num_threads(), "machine": machine}
    save(options.json, document)
    return int(any(result["missed"] for result in results))


def _trainer(model: LanguageModel) -> Trainer:
    settings = {"learning_rate": 3e-4, "schedule": "constant", "warmup_steps": 2}
    config = resolve(
        {"method": "sft/small-model", "task": "bench", "steps": 1000, "optimizer": settings}
    )
    return make_trainer(model, config, None)


def _learn_half(trainer: Trainer, rows: Sequence[Demonstration]) -> dict[str, Any]:
    """Trains until the share of the judging rows that are written rightly is half, or more."""
    training, judging = rows[:-_JUDGING], rows[-_JUDGING:]
    right, steps = 0.0, 0
    while right < LEARNED and steps < _MOST_STEPS:
        first = steps * BATCH % (len(training) - BATCH)
        training_step(trainer, training[first : first + BATCH], steps)
        steps += 1
        if steps % _JUDGED_EVERY == 0:
            right = _share_right(trainer.model, judging, steps)
    print(f"a student after {steps} steps, {right:.0%} of whose rollouts are right", flush=True)
    return {"steps": steps, "right": right}


def _share_right(model: LanguageModel, rows: Sequence[Demonstration], seed: int) -> float:
    prompts = [model.tokenizer.prompt_ids(list(row.messages)) for row in rows]
    demonstrated = [demonstration_ids(model, row) for row in rows]
    written = _lab(model, prompts, demonstrated, seed)
    return sum(map(list.__eq__, written, demonstrated)) / len(rows)


def _compared(
    model: LanguageModel, rows: Sequence[Demonstration], pairs: int, drafted: bool
) -> dict[str, Any]:
    """Pairs of one rollout each; with drafts, each pair writes 8 other rows."""
    prompts = [model.tokenizer.prompt_ids(list(row.messages)) for row in rows]
    drafts = [demonstration_ids(model, row) for row in rows] if drafted else []
    count = BATCH if drafted else len(rows)
    ours: list[float] = []
    theirs: list[float] = []
    right = 0
    for pair in range(pairs + 1):
        first = pair * count % len(rows)
        span = slice(first, first + count)
        speed, written = _speed(partial(_lab, model, prompts[span], drafts[span], pair))
        right += sum(one == other for one, other in zip(written, drafts[span], strict=drafted))
        with plain(model):
            other, _ = _speed(partial(_generate, model, prompts[span], pair))
        if pair:  # The first warms both up.
            ours.append(speed)
            theirs.append(other)
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    name = f"{count} rows{', drafts' if drafted else ''}"
    ratio, (low, high) = median_and_spread(ratios)
    learned = f"; {right / (count * (pairs + 1)):.0%} are a demonstration" if drafted else ""
    print(
        f"{name}: {statistics.median(ours):.0f} against {statistics.median(theirs):.0f} tokens/s, "
        f"ratio {ratio:.2f} ({low:.2f} to {high:.2f}), "
        f"target {TARGETS[name]}{f', floor {FLOORS[name]}' if name in FLOORS else ''}{learned}",
        flush=True,
    )
    return {
        "work": name,
        "lab_tokens_s": ours,
        "generate_tokens_s": theirs,
        "ratio": ratio,
        "spread": [low, high],
        "target": TARGETS[name],
        "right": right / (count * (pairs + 1)) if drafted else None,
        "missed": ratio < FLOORS.get(name, TARGETS[name]),
    }


def _speed(write: Callable[[], list[list[int]]]) -> tuple[float, list[list[int]]]:
    """Tokens a second of all rows together, and what was written."""
    began_s = time.perf_counter()
    written = write()
    return sum(map(len, written)) / (time.perf_counter() - began_s), written


def _lab(
    model: LanguageModel, prompts: list[list[int]], drafts: list[list[int]], seed: int
) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    with model.merged():
        return generate(model, prompts, Sampling(NEW_TOKENS, 1.0), generator, drafts)


@torch.no_grad()
def _generate(model: LanguageModel, prompts: list[list[int]], seed: int) -> list[list[int]]:
    ids_BP, mask_BP, _ = left_pad(prompts, model.tokenizer.pad_id, model.compute.device)
    torch.manual_seed(seed)
    ends = model.tokenizer.eos_ids
    never = ends == {-1}
    written = model.network.generate(
        input_ids=ids_BP,
        attention_mask=mask_BP,
        do_sample=True,
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        max_new_tokens=NEW_TOKENS,
        min_new_tokens=NEW_TOKENS if never else None,
        eos_token_id=None if never else sorted(ends),
        pad_token_id=model.tokenizer.pad_id,
    )[:, ids_BP.shape[1] :].tolist()
    return [_up_to_end(row, ends) for row in written]


def _up_to_end(row: list[int], ends: frozenset[int]) -> list[int]:
    last = next((place for place, token in enumerate(row) if token in ends), len(row))
    return row[: last + 1]


if __name__ == "__main__":
    sys.exit(main())
