"""Times a self-distillation step of the lab against TRL's on the same work, steps interleaved.

    python -m bench.step [--prompts 8] [--new-tokens 28] [--per-prompt 1] [--system-tokens 0]
                         [--trl-rows 0] [--pairs 5] [--json FILE] [--into FOLDER]

First both engines get the same adapter and the same rollouts, and their loss and gradients are
compared; then each step of the lab stands between two of TRL's. The figure is the median of the
pairs' ratios. How near the lab comes to the machine's limit is said as well. Peak memory is another
matter: see bench.memory.
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
from backend.text.tokenizer import TextTokenizer
from backend.training.step import training_step
from backend.training.trainer import Trainer
from bench.engines import Between, Work, lab_step, lab_trainer, trl_trainer
from bench.limit import dimensions_of, limit_of, product_rate
from bench.machine import machine_document, save
from bench.spread import median_and_spread

# By prompts, new tokens, rollouts of each prompt, and tokens of a system prompt that all share.
TARGETS: Final = {(8, 28, 1, 0): 0.55, (32, 28, 1, 0): 0.50, (8, 64, 4, 300): 0.33}
# Of the arithmetic limit.
LIMIT_TARGET: Final = 0.6
AGREEMENT: Final = 1e-4
_WORK: Final = ("prompts", "new_tokens", "per_prompt", "system_tokens")
_PACKAGES: Final = ("torch", "transformers", "peft", "trl")


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the pairs and their median; 1 where the target is missed or the engines disagree."""
    options = _parse(argv)
    machine = machine_document(_PACKAGES)
    folder = local_folder(DEFAULT_MODEL, Settings().home)
    rows = demonstrations(options.prompts, system_prompt(folder, options.system_tokens))
    work = Work(rows, options.new_tokens, options.per_prompt, options.trl_rows)
    lab = lab_trainer(folder, work, options.threads)
    apart: dict[str, float] = {}
    lab_s: list[float] = []
    rates: list[float] = []
    size = dimensions_of(lab)

    def after_trls(step: int) -> None:
        if step == 1:  # Both are warm then, and TRL has its teacher.
            apart.update(disagreement(lab, trl, work))
        else:
            before = product_rate(size.hidden, 2 * size.mlp)
            lab_s.append(lab_step(lab, work, step))
            rates.append((before + product_rate(size.hidden, 2 * size.mlp)) / 2)

    between = Between(after_trls)
    with tempfile.TemporaryDirectory() as out:
        trl = trl_trainer(folder, work, options.pairs + 1, Path(out), [between])
        trl.train()
    key = (options.prompts, options.new_tokens, options.per_prompt, options.system_tokens)
    result = _result(machine, key, apart, lab_s, between.seconds[1:])
    result |= {"limit": limit_of(lab, work, rates, lab_s)}
    result["missed"] |= result["limit"]["share"] < LIMIT_TARGET
    _print(result)
    save(options.json, result)
    if options.into:
        save(options.into / f"step-{'-'.join(map(str, key))}.json", result)
    return int(result["missed"])


def demonstrations(count: int, system: str = "", first: int = 0) -> list[Demonstration]:
    """Rows of a bundled skill: prompts of about 50 tokens with the chat template."""
    file = material_path("tasks/home-commands.training.jsonl")
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    before = (Message(role="system", content=system),) if system else ()
    return [
        Demonstration(
            id=row["id"],
            row=place,
            messages=(*before, Message(role="user", content=row["prompt"])),
            demonstration=row["demonstration"],
        )
        for place, row in enumerate(rows[first : first + count], start=first + 1)
    ]


def system_prompt(folder: Path, tokens: int) -> str:
    """Examples of the skill, about so many tokens of them."""
    tokenizer, text = TextTokenizer(folder), ""
    for row in demonstrations(100, first=200):
        if len(tokenizer.encode(text)) >= tokens:
            break
        text += f"{row.prompt} {row.demonstration}\n"
    return text.strip()


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
    inputs = [trl.train_dataset[place] for place in range(len(work.answered))]
    trl.model.train()
    losses = [trl.training_step(trl.model, inputs, None) for _ in range(work.trl_passes)]
    loss = float(sum(losses))
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


def agrees(apart: dict[str, float]) -> bool:
    """Whether both engines computed the same."""
    return max(apart["loss"], apart["gradient"]) <= AGREEMENT


def _result(
    machine: dict[str, Any],
    work: tuple[int, int, int, int],
    apart: dict[str, float],
    lab_s: Sequence[float],
    trl_s: Sequence[float],
) -> dict[str, Any]:
    ratios = [ours / theirs for ours, theirs in zip(lab_s, trl_s, strict=True)]
    target = TARGETS.get(work)
    ratio, spread = median_and_spread(ratios)
    return {
        "work": dict(zip(_WORK, work, strict=True)),
        "lab_s": lab_s,
        "trl_s": trl_s,
        "ratio": ratio,
        "spread": spread,
        "target": target,
        "disagreement": apart,
        "missed": not agrees(apart) or (target is not None and ratio > target),
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
    limit = result["limit"]
    low, high = limit["spread"]
    print(
        f"{limit['gflop']:.0f} GFLOP at {statistics.median(limit['gflops']):.0f} GFLOP/s are "
        f"{limit['share']:.0%} of what it took ({low:.0%} to {high:.0%}), target {LIMIT_TARGET:.0%}"
    )


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.step")
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--new-tokens", type=int, default=28)
    parser.add_argument("--per-prompt", type=int, default=1)
    parser.add_argument("--system-tokens", type=int, default=0)
    parser.add_argument("--trl-rows", type=int, default=0)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--into", type=Path, help="a folder for a document that the work names")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
