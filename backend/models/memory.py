"""What a run needs of a device's memory, part by part, and what would make it fit; no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from backend.config import RunConfig
from backend.models.dimensions import Dimensions
from backend.models.four_bit import BYTES_PER_WEIGHT
from backend.models.workload import Lengths, StepWork, step_work

# MiB. Measured in a worker: 356 after the imports, 936 with SmolLM2 loaded (513 of weights).
_RUNTIME_MIB: Final = {"cpu": 420.0, "gpu": 700.0}
# What a step's tensors leave unusable between them. Measured with glibc kept from giving memory
# back (as workers do): 843 MiB of activations and logits grew to 1,400 within two steps.
_FRAGMENTATION: Final = {"cpu": 1.65, "gpu": 1.2}
_CHUNK_TOKENS: Final = 64
# What steps left in use besides what is reckoned here; what the answers to a task and all prior
# probes did, as if a layer had read so many tokens at once. (On GPUs not measured, and left out.)
_LEFT_MIB, _ANSWERED_TOKENS, _PROBED_TOKENS = 80.0, 2_650, 12_100
_ANSWERED_ROWS: Final = 32
# Of a chunk's logits so many copies exist at once, by both sides and with their gradients: 237 MiB
# were taken at 49,152 tokens, 510 at twice as many.
_LOGITS: Final = 20
MIB: Final = 2.0**20
_SMALLER: Final = "choose a smaller model"


def memory_parts(
    config: RunConfig, lengths: Lengths, size: Dimensions, *, is_gpu: bool
) -> dict[str, float]:
    """Peak MiB by part: of each GPU, or of the machine that all processes on its CPU share.

    Activations: what a layer keeps of each token for its backward pass.
    """
    kind, weight_bytes = ("gpu", 2) if is_gpu else ("cpu", 4)
    work = step_work(config, lengths)
    logits = _LOGITS * _CHUNK_TOKENS * size.vocabulary * 4 + _LEFT_MIB * MIB
    kept = _kept_bytes(config, lengths, size, work, is_gpu)
    token_bytes = 2 * size.layers * size.kv * weight_bytes
    written = work.rows * (max(lengths.prompt, lengths.teacher_prompt) + work.longest_completion)
    cache = written * token_bytes / config.devices
    # An evaluation takes what a step took again, and its cache twice while it grows.
    reading = _reading_bytes(config, size, is_gpu)
    answered = _ANSWERED_ROWS * (lengths.prompt + config.evaluate.max_new_tokens)
    is_probed = any(not name.startswith("task") for name in config.evaluate.probes)
    read = (_PROBED_TOKENS if is_probed else _ANSWERED_TOKENS) * _layer_width(size) * weight_bytes
    answers = 0.0 if is_gpu else 2 * answered * token_bytes + read
    beyond = max(0.0, reading + answers - kept - cache)
    copies = 5 if config.teacher.weights == "ema" else 4
    parts = {
        "runtime_mib": _RUNTIME_MIB[kind],
        "weights_mib": _base_bytes(config, size, weight_bytes) / MIB,
        "adapter_mib": copies * adapter_bytes(config, size) / MIB,
        "activations_mib": kept / MIB,
        "logits_mib": logits / MIB,
        "cache_mib": cache / MIB,
        "reading_mib": min(beyond, reading) / MIB,
        "answers_mib": max(0.0, beyond - reading) / MIB,
    }
    processes = 1 if is_gpu else config.devices
    return {name: processes * part for name, part in parts.items()}


def _kept_bytes(
    config: RunConfig, lengths: Lengths, size: Dimensions, work: StepWork, is_gpu: bool
) -> float:
    """What the layers keep of all tokens for the backward pass, and one of them needs for it.

    Other than flat tokens, it leaves memory between its tensors that nothing else can use.
    """
    rows, row_tokens = _rows_at_once(config, work), lengths.prompt + work.longest_completion
    if reads_flat(config, size):
        tokens = lengths.shared_prompt + rows * (row_tokens - lengths.shared_prompt)
        width = 2 * (size.hidden + size.attention + size.kv + size.mlp)
        return tokens * (size.layers * width + _layer_width(size)) * (2 if is_gpu else 4)
    width = 8 * size.hidden + 2 * (size.attention + size.kv) + 4 * size.mlp
    # DoRA keeps what the layer gives and what the adapter adds apart.
    width += 2 * size.output_width // size.layers if config.adapter.dora else 0
    kept = rows * row_tokens * (size.layers * width * (3 if is_gpu else 4) + 4 * row_tokens)
    return _FRAGMENTATION["gpu" if is_gpu else "cpu"] * kept


def reads_flat(config: RunConfig, size: Dimensions) -> bool:
    """Whether steps of the run read all tokens as rows of one product (models/flat.py)."""
    adapter = config.adapter
    return size.is_flat and not (adapter.dora or adapter.full or adapter.four_bit)


def _layer_width(size: Dimensions) -> int:
    """Numbers a token that a layer has at once, backward pass included."""
    return 6 * size.hidden + 2 * size.attention + 6 * size.mlp


def export_parts(config: RunConfig, size: Dimensions, form: str) -> dict[str, float]:
    """Peak MiB of a student that is written as a model of its own: merged in fp32, on the CPU."""
    weights_mib = size.parameters * 4 / MIB
    return {
        "runtime_mib": _RUNTIME_MIB["cpu"],
        "weights_mib": weights_mib,
        "adapter_mib": adapter_bytes(config, size) / MIB,
        # A GGUF file's tensors are all made, in fp16, before the first is written.
        "file_mib": weights_mib / 2 if form == "gguf" else 0.0,
    }


def adapter_bytes(config: RunConfig, size: Dimensions) -> float:
    """What is trained, in fp32; where that is all weights, the base is a copy beside them."""
    if config.adapter.full:
        return size.parameters * 4.0
    share = 1.0 if config.adapter.targets == "all-linear" else len(config.adapter.targets) / 7
    weights = config.adapter.rank * size.adapter_width
    weights += size.output_width if config.adapter.dora else 0
    return weights * share * 4.0


def _base_bytes(config: RunConfig, size: Dimensions, weight_bytes: int) -> float:
    """In 4 bits are the layers' weights; experts, which are no linear layers, stay as they are."""
    if not config.adapter.four_bit:
        return size.parameters * float(weight_bytes)
    whole = size.parameters - size.active
    return size.active * BYTES_PER_WEIGHT + whole * weight_bytes


def _reading_bytes(config: RunConfig, size: Dimensions, is_gpu: bool) -> float:
    """The weights once more, merged to be read with, when no activations are kept."""
    if is_gpu or config.adapter.four_bit:
        return 0.0
    return (size.active + size.hidden * size.vocabulary) * 4.0


def largest_part(
    config: RunConfig, lengths: Lengths, parts: Mapping[str, float], room_mib: float
) -> tuple[str, str]:
    """What takes most of a run's memory, in words, and the knob that makes it fit ``room_mib``."""
    name = max(parts, key=lambda part: parts[part])
    rows = _rows_at_once(config, step_work(config, lengths))
    left_mib = room_mib - math.fsum(parts.values()) + parts[name]
    knobs = {
        "activations_mib": ("the activations", _fewer_rows(rows, left_mib / (parts[name] / rows))),
        "cache_mib": (
            "the memory of the tokens that are written",
            f"lower batch_size (now {config.batch_size}) or rollout.max_new_tokens",
        ),
        "adapter_mib": (
            ("all weights in training", "train an adapter instead (adapter.full: false)")
            if config.adapter.full
            else ("the adapter and its optimizer", f"lower adapter.rank ({config.adapter.rank})")
        ),
        "weights_mib": ("the model's weights", _SMALLER),
        "logits_mib": ("the logits of some tokens", "choose a model with a smaller vocabulary"),
        "answers_mib": ("the answers of an evaluation", "lower evaluate.max_new_tokens"),
        "reading_mib": ("the weights' copy that answers are written with", _SMALLER),
        "runtime_mib": ("torch itself", "close other programs"),
    }
    words, knob = knobs[name]
    return f"{words} ({gib(parts[name])})", knob


def _fewer_rows(rows: int, fitting: float) -> str:
    """The knob for activations, which grow with the rows of a forward pass."""
    if rows > 1 and fitting >= 1:
        return f"set micro_batch_size to {min(rows - 1, math.floor(fitting))}"
    knob = "set micro_batch_size to 1 and " if rows > 1 else ""
    return f"{knob}lower rollout.max_new_tokens, or {_SMALLER}"


def _rows_at_once(config: RunConfig, work: StepWork) -> int:
    rows = math.ceil(work.rows / config.devices)
    return min(config.micro_batch_size or rows, rows)


def gib(mib: float) -> str:
    return f"{mib / 1024:.1f} GiB"
