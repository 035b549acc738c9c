"""Times a self-distillation step of the lab against TRL's on the same work, steps interleaved.

    python -m bench.step [--prompts 8] [--new-tokens 28] [--pairs 5] [--json FILE]

First both engines get the same adapter and the same rollouts, and their loss and gradients are
compared; then each step of the lab stands between two of TRL's. The figure is the median of the
pairs' ratios. Peak memory is another matter: it needs a process for each engine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from peft import get_peft_model_state_dict, set_peft_model_state_dict

from backend.bundled import material_path
from backend.config import DEFAULT_MODEL
from backend.data.demonstration import Demonstration, Message
from backend.models.materialise import local_folder
from backend.settings import Settings
from backend.training.step import Trainer, training_step
from bench.engines import Between, Work, lab_step, lab_trainer, trl_trainer
from bench.machine import machine_document

TARGETS: Final = {(8, 28): 0.55, (32, 28): 0.50}
AGREEMENT: Final = 1e-4
_PACKAGES: Final = ("torch", "transformers", "peft", "trl")


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the pairs and their median; 1 where the target is missed or the engines disagree."""
    options = _parse(argv)
    machine = machine_document(_PACKAGES)
    folder = local_folder(DEFAULT_MODEL, Settings().home)
    work = Work(demonstrations(options.prompts), options.new_tokens)
    lab = lab_trainer(folder, work, options.threads)
    apart: dict[str, float] = {}
    lab_s: list[float] = []

    def after_trls(step: int) -> None:
        if step == 1:  # Both are warm then, and TRL has its teacher.
            apart.update(disagreement(lab, trl, work))
        else:
            lab_s.append(lab_step(lab, work, step))

    between = Between(after_trls)
    with tempfile.TemporaryDirectory() as out:
        trl = trl_trainer(folder, work, options.pairs + 1, Path(out), [between])
        trl.train()
    result = _result(machine, work, apart, lab_s, between.seconds[1:])
    _print(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return int(result["missed"])


def demonstrations(count: int) -> list[Demonstration]:
    """The first rows of a bundled skill: prompts of about 50 tokens with the chat template."""
    file = material_path("tasks/home-commands.training.jsonl")
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()[:count]]
    return [
        Demonstration(
            id=row["id"],
            row=place,
            messages=(Message(role="user", content=row["prompt"]),),
            demonstration=row["demonstration"],
        )
        for place, row in enumerate(rows, start=1)
    ]


def disagreement(lab: Trainer, trl: Any, work: Work) -> dict[str, float]:
    """How far loss and gradients are apart on the lab's rollouts, relative to their size.

    The gradients' is the norm of their difference over their norm. Weights stay as they are.
    """
    generator = torch.Generator().manual_seed(0)
    for name, parameter in lab.model.adapter_parameters().items():
        if "lora_B" in name:  # At zero, half of the gradients would be zero, too.
            parameter.data.normal_(0.0, 0.01, generator=generator)
    for name, average in lab.teacher.average.items():
        average.copy_(lab.model.adapter_parameters()[name].detach())
    adapter = get_peft_model_state_dict(lab.model.network)
    for each in trl.model.peft_config:
        set_peft_model_state_dict(trl.model, adapter, adapter_name=each)

    found: dict[str, torch.Tensor] = {}

    def keep(*_: Any) -> None:
        for name, parameter in lab.model.adapter_parameters().items():
            if parameter.grad is not None:
                found[name] = parameter.grad.clone()
                parameter.grad.zero_()

    hook = lab.optimizer.register_step_pre_hook(keep)
    report = training_step(lab, work.rows, 0)
    hook.remove()
    lab.optimizer.state.clear()
    clipped = min(1.0, lab.config.optimizer.max_grad_norm / (report.grad_norm + 1e-6))

    generate, trl._generate = trl._generate, lambda prompts: (prompts, report.rollouts.completions)
    inputs = [trl.train_dataset[place] for place in range(len(work.rows))]
    trl.model.train()
    loss = float(trl.training_step(trl.model, inputs, None))
    trl._generate, trl._buffered_inputs = generate, None
    theirs = {
        name: parameter.grad
        for name, parameter in trl.model.named_parameters()
        if parameter.grad is not None
    }
    ours = torch.cat([found[name].flatten() / clipped for name in sorted(found)])
    other = torch.cat([theirs[name].flatten() for name in sorted(theirs)])
    trl.model.zero_grad()
    return {
        "loss": abs(loss - report.loss) / abs(loss),
        "gradient": float((ours - other).norm() / other.norm()),
        "tokens": sum(map(len, report.rollouts.completions)),
    }


def _result(
    machine: dict[str, Any],
    work: Work,
    apart: dict[str, float],
    lab_s: Sequence[float],
    trl_s: Sequence[float],
) -> dict[str, Any]:
    ratios = [ours / theirs for ours, theirs in zip(lab_s, trl_s, strict=True)]
    target = TARGETS.get((len(work.rows), work.new_tokens))
    ratio = statistics.median(ratios)
    agrees = max(apart["loss"], apart["gradient"]) <= AGREEMENT
    return {
        "work": {"prompts": len(work.rows), "new_tokens": work.new_tokens},
        "lab_s": lab_s,
        "trl_s": trl_s,
        "ratio": ratio,
        "spread": [min(ratios), max(ratios)],
        "target": target,
        "disagreement": apart,
        "missed": not agrees or (target is not None and ratio > target),
        "threads": torch.get_num_threads(),
        "machine": machine,
    }


def _print(result: dict[str, Any]) -> None:
    apart = result["disagreement"]
    print(f"loss apart by {apart['loss']:.1e}, gradient by {apart['gradient']:.1e} (relative)")
    print("lab s   TRL s   ratio")
    for ours, theirs in zip(result["lab_s"], result["trl_s"], strict=True):
        print(f"{ours:5.2f}   {theirs:5.2f}   {ours / theirs:.3f}")
    low, high = result["spread"]
    print(
        f"median ratio {result['ratio']:.3f} ({low:.3f} to {high:.3f}), target {result['target']}"
    )


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.step")
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--new-tokens", type=int, default=28)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=Path)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
