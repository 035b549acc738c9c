"""AdamW over the adapter's parameters, its schedule, and both as plain tensors and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import get_scheduler

from backend.config import OptimizerConfig
from backend.models.language_model import LanguageModel
from backend.training.ranks import ALONE, Ranks

Scheduler = torch.optim.lr_scheduler.LRScheduler


def make_optimizer(
    model: LanguageModel, config: OptimizerConfig, steps: int
) -> tuple[torch.optim.AdamW, Scheduler]:
    """AdamW and a transformers schedule over ``steps`` optimizer steps."""
    optimizer = torch.optim.AdamW(
        list(model.adapter_parameters().values()),
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
    )
    name = "constant_with_warmup" if config.schedule == "constant" else config.schedule
    scheduler = get_scheduler(name, optimizer, config.warmup_steps, steps)
    return optimizer, scheduler


def optimizer_tensors(model: LanguageModel, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state under the parameters' names."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in model.adapter_parameters().items():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{name}|{key}"] = torch.as_tensor(value).detach()
    return tensors


def load_optimizer_tensors(
    model: LanguageModel, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]
) -> None:
    """Puts a stored state back, bit for bit, on the parameters' device."""
    parameters = model.adapter_parameters()
    for key, tensor in tensors.items():
        name, field = key.rsplit("|", 1)
        parameter = parameters[name]
        # AdamW keeps its step count on the host.
        device = tensor.device if field == "step" else parameter.device
        optimizer.state[parameter][field] = tensor.to(device, copy=True)


def scheduler_numbers(scheduler: Scheduler) -> dict[str, Any]:
    """The schedule's position, fit for JSON."""
    state = scheduler.state_dict()
    return {key: state[key] for key in ("last_epoch", "_step_count", "_last_lr", "base_lrs")}


def clip_gradients(
    parameters: Sequence[torch.nn.Parameter], max_norm: float, ranks: Ranks = ALONE
) -> float:
    """Adds up the gradients of all processes; returns their norm before it is clipped."""
    if ranks.size > 1:
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
    ranks.add_up(p.grad for p in parameters if p.grad is not None)
    return float(torch.nn.utils.clip_grad_norm_(parameters, max_norm))
