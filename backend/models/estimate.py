"""What a training run will take here in time, memory and disk, before it is queued; no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backend.config import RunConfig
from backend.errors import ConfigError, ModelError, UserError
from backend.models.dimensions import Dimensions, read_dimensions
from backend.models.hardware import HardwareProfile
from backend.models.memory import MIB, adapter_bytes, gib, memory_parts, reads_flat
from backend.models.on_disk import folder_on_disk
from backend.models.sources import find_source
from backend.models.workload import Lengths, Scoring, StepWork, step_work

LONGEST_S: Final = 3 * 24 * 3600.0

# Share of the measured matrix speed that a step reaches. Fitted on 2 CPU cores to SmolLM2-135M:
# SDFT 4.3 s and SFT 1.7 s a step, 277 facts 9 s, 49 instructions 5.5 s, 30 KL prompts 10 s. For
# GPUs not measured: LoRA on small batches seldom gets beyond a quarter of the data sheet.
_EFFICIENCY: Final = {"cpu": 0.68, "gpu": 0.25}
# Kernels that are no matrix products, and Python: seconds a layer and forward pass.
_LAYER_S: Final = 0.0005
_READING_EFFICIENCY: Final = 0.7

_START_S: Final = 15.0
_CONVERT_S: Final = 40.0
_BUNDLED_DISK_MIB: Final = 520.0


@dataclass(frozen=True)
class Estimate:
    """What a run will take; ``by_part`` splits time (``..._s``) and memory (``..._mib``).

    The time of a download is not in ``total_s``.
    """

    model: str
    parameters: int
    step_s: float
    total_s: float
    peak_memory_mib: float
    download_mib: float
    disk_mib: float
    by_part: Mapping[str, float]
    note: str = ""


def estimate(
    config: RunConfig,
    lengths: Lengths,
    scoring: Sequence[Scoring],
    profile: HardwareProfile,
    home: Path,
) -> Estimate | None:
    """The run's estimate; None where neither the model's files nor its name tell its size.

    ``scoring`` is what is evaluated besides the steps, see planned_scoring. Raises ModelError for
    a name that means no model.
    """
    size = read_dimensions(config.model, home)
    if size is None:
        return None
    work, costs = step_work(config, lengths), _Costs(size, profile)
    # At best: what devices tell each other takes some time, too. A CPU's cores are only shared out.
    shared = config.devices if profile.is_gpu else 1
    step = {name: s / shared for name, s in _step_s(config, lengths, work, costs).items()}
    is_bundled = find_source(config.model, home).kind == "bundled"
    fetched = 0.0 if folder_on_disk(config.model, home) else _weights_mib(size, is_bundled)
    memory = memory_parts(config, lengths, size, is_gpu=profile.is_gpu)
    once = {
        "evaluation_s": math.fsum(costs.scoring_s(one) for one in scoring),
        "start_s": _START_S + (_CONVERT_S if is_bundled and fetched else 0.0),
    }
    step_s = math.fsum(step.values())
    return Estimate(
        model=config.model,
        parameters=size.parameters,
        step_s=step_s,
        total_s=step_s * config.steps + math.fsum(once.values()),
        peak_memory_mib=math.fsum(memory.values()),
        download_mib=0.0 if is_bundled else fetched,
        disk_mib=fetched + _checkpoints_mib(config, size) + config.traces.max_mib / 8,
        by_part={name: s * config.steps for name, s in step.items()} | once | memory,
        note=size.note,
    )


def refusal(
    estimate: Estimate, profile: HardwareProfile, *, forced: bool = False
) -> UserError | None:
    """Why the run should not be queued here; None if nothing speaks against it.

    Too much memory cannot be forced, more than three days can.
    """
    if estimate.peak_memory_mib > profile.memory_mib_total:
        weights = estimate.by_part["weights_mib"] + estimate.by_part["runtime_mib"]
        fits = weights < 0.9 * profile.memory_mib_total
        knobs = "set micro_batch_size to 1, lower batch_size or rollout.max_new_tokens, or "
        if estimate.by_part["adapter_mib"] > estimate.by_part["weights_mib"]:
            knobs = "train an adapter instead of all weights (adapter.full), " + knobs
        return ModelError(
            f"{estimate.model} ({_weights(estimate.parameters)}) needs about "
            f"{gib(estimate.peak_memory_mib)} of memory, and this machine ({profile.device}) has "
            f"{gib(profile.memory_mib_total)}",
            where="model",
            remedy=f"{knobs if fits else ''}choose a smaller model",
        )
    if estimate.total_s > LONGEST_S and not forced:
        return ConfigError(
            f"the run would take {duration(estimate.total_s)} on this machine ({profile.device}), "
            f"{estimate.step_s:.0f} s a step",
            where="steps",
            remedy="lower steps, batch_size or rollout.max_new_tokens, choose a smaller model, "
            "or force it",
        )
    return None


def in_words(estimate: Estimate | None) -> str:
    """``about 6 minutes here, 2.4 GiB of memory``."""
    if estimate is None:
        return "time and memory unknown: neither the model's files nor its name tell its size"
    words = f"{duration(estimate.total_s)} here, {gib(estimate.peak_memory_mib)} of memory"
    if estimate.download_mib:
        words += f", after a download of {gib(estimate.download_mib)}"
    return f"{words} ({estimate.note})" if estimate.note else words


def duration(seconds: float) -> str:
    """``about 40 seconds``, ``about 6 minutes``, ``about 5 hours``, ``about 12 days``."""
    for unit, length_s, up_to in (("second", 1, 90), ("minute", 60, 5400), ("hour", 3600, 129_600)):
        if seconds < up_to:
            count = max(1, round(seconds / length_s))
            return f"about {count} {unit}{'s' if count > 1 else ''}"
    return f"about {round(seconds / 86_400):,} days"


@dataclass(frozen=True)
class _Costs:
    """Seconds for what a model does on a machine.

    A token costs two operations a weight that it passes, and attention two a pair of tokens and
    unit of width, twice (scores, values), for half of the pairs.
    """

    size: Dimensions
    profile: HardwareProfile

    def read_s(self, rows: float, tokens: float, passes: float = 1.0) -> float:
        """``rows`` of ``tokens`` through the layers at once; a backward pass is one more."""
        pairs = 2.0 * self.size.layers * self.size.attention * tokens**2
        flops = rows * (2.0 * self.size.active * tokens + pairs)
        return passes * (self._s(flops) + self.size.layers * _LAYER_S)

    def head_s(self, tokens: float, passes: float = 1.0) -> float:
        """Logits of ``tokens``."""
        return passes * self._s(2.0 * self.size.hidden * self.size.vocabulary * tokens)

    def write_s(self, rows: float, prompt: float, written: float) -> float:
        """``rows`` answers, token by token: each step reads all weights, however few the rows."""
        if not rows or not written:
            return 0.0
        head = self.size.hidden * self.size.vocabulary
        computing = self._s(2.0 * rows * (self.size.active + head))
        gb_s = self.profile.memory_gb_s * _READING_EFFICIENCY
        reading = (self.size.active + head) * self.profile.bytes_per_weight / (gb_s * 1e9)
        token_s = max(computing, reading) + self.size.layers * _LAYER_S
        return self.read_s(rows, prompt) + written * token_s

    def scoring_s(self, scoring: Scoring) -> float:
        """A probe's rows, read and answered."""
        batches = max(1, math.ceil(scoring.rows / scoring.together))
        read = self.read_s(scoring.rows, scoring.read) + self.head_s(scoring.rows * scoring.judged)
        return read + batches * self.write_s(scoring.rows / batches, 0.0, scoring.written)

    def dora_s(self, config: RunConfig) -> float:
        """The norms of all adapted layers, which a forward pass makes anew."""
        products = config.adapter.rank * self.size.products_a_rank
        return self._s(2.0 * products + 4.0 * self.size.active)

    def _s(self, flops: float) -> float:
        efficiency = _EFFICIENCY["gpu" if self.profile.is_gpu else "cpu"]
        return flops / (self.profile.matmul_gflops * 1e9 * efficiency)


def _step_s(config: RunConfig, lengths: Lengths, work: StepWork, costs: _Costs) -> dict[str, float]:
    """Seconds of an optimizer step by part.

    Backward costs one forward where the base is frozen, and two where all weights are trained.
    """
    tokens = work.rows * work.completion
    has_teacher = config.teacher.weights != "none"
    micro = config.micro_batch_size or work.rows
    overhead = (math.ceil(work.rows / micro) - 1) * costs.size.layers * _LAYER_S
    full = int(config.adapter.full)
    # What the student wrote itself is not read again (backend/training/sides.py).
    writes_all = work.by_student == work.rows and micro >= work.rows
    passes = 2 + full - int(writes_all and has_teacher and reads_flat(config, costs.size))
    dora = math.ceil(work.rows / micro) * costs.dora_s(config) if config.adapter.dora else 0.0
    teacher = 0.0
    if has_teacher:
        # Logits: once for the token weights, then in the loss.
        teacher = costs.read_s(work.rows, lengths.teacher_prompt + work.completion)
        teacher += costs.head_s(tokens, passes=2) + overhead + dora
    return {
        "rollouts_s": costs.write_s(work.by_student, lengths.prompt, work.completion)
        + costs.write_s(work.by_teacher, lengths.teacher_prompt, work.completion),
        "teacher_s": teacher,
        "student_s": costs.read_s(work.rows, lengths.prompt + work.completion, passes)
        + costs.head_s(tokens, passes=2 + 2 * full)
        + 2 * overhead
        + dora,
    }


def _checkpoints_mib(config: RunConfig, size: Dimensions) -> float:
    """Adapter, its average and two moments in every checkpoint, and the adapter at the end."""
    written = math.ceil(config.steps / config.checkpoint_every)
    # The best one stays beside the last, and the newest is written before the oldest goes.
    kept = min(written, config.keep_checkpoints + 2) if config.keep_checkpoints else written
    copies = 4 * kept + 1
    return copies * adapter_bytes(config, size) / MIB


def _weights_mib(size: Dimensions, is_bundled: bool) -> float:
    """Bundled models are written in fp32; hubs mostly hold bf16."""
    return _BUNDLED_DISK_MIB if is_bundled else size.parameters * 2 / MIB


def _weights(parameters: int) -> str:
    if parameters < 1e9:
        return f"{parameters / 1e6:.0f} million weights"
    return f"{parameters / 1e9:.1f} billion weights"
