"""The same self-distillation step on two engines: the lab's own, and TRL's SDFTTrainer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from datasets import Dataset  # type: ignore[import-untyped]
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl.experimental.sdft import SDFTConfig, SDFTTrainer

from backend.data.demonstration import Demonstration
from backend.methods import resolve
from backend.models.compute import choose_compute
from backend.models.language_model import LanguageModel, load_model
from backend.training.loop import make_trainer
from backend.training.step import training_step
from backend.training.trainer import Trainer

# Both engines make the teacher's prompt with it, so that both read the same tokens.
TEMPLATE: Final = "{prompt}\n\nExample answer: %s"
RANK: Final = 16
ALPHA: Final = 32
EMA_RATE: Final = 0.05
LEARNING_RATE: Final = 1e-4
SEED: Final = 0


@dataclass(frozen=True)
class Work:
    """What one step does: prompts, each answered so often with exactly so many tokens."""

    rows: Sequence[Demonstration]
    new_tokens: int
    per_prompt: int = 1
    # How many rows TRL trains on at once; 0: all.
    trl_rows: int = 0

    @property
    def trl_passes(self) -> int:
        """How many micro-batches TRL makes of a step."""
        return len(self.answered) // (self.trl_rows or len(self.answered))

    @property
    def answered(self) -> list[Demonstration]:
        """Each row as often as it is answered."""
        return [row for row in self.rows for _ in range(self.per_prompt)]


def lab_trainer(folder: Path, work: Work, threads: int) -> Trainer:
    """The lab's trainer; no token ends a rollout early."""
    model = load_model("bench", folder, choose_compute(threads))
    write_on(model)
    config = resolve(
        {
            "method": "sdft/paper",
            "task": "bench",
            "seed": SEED,
            "steps": 1000,
            "batch_size": len(work.rows),
            "rollout": {
                "source": "student",
                "per_prompt": work.per_prompt,
                "max_new_tokens": work.new_tokens,
                "temperature": 1.0,
            },
            "teacher": {
                "weights": "ema",
                "rate": EMA_RATE,
                "context": "template",
                "template": TEMPLATE % "{demonstration}",
            },
            "divergence": {"kind": "forward_kl"},
            "token_weights": {"skip_first": 0, "average": "sequence"},
            "adapter": {"rank": RANK, "alpha": ALPHA, "targets": "all-linear"},
            "optimizer": {
                "learning_rate": LEARNING_RATE,
                "schedule": "constant",
                "warmup_steps": 0,
            },
        }
    )
    return make_trainer(model, config, None)


def write_on(model: LanguageModel) -> None:
    """No token ends what the model writes."""
    model.tokenizer.eos_ids = frozenset({-1})


def trl_trainer(
    folder: Path, work: Work, steps: int, out: Path, callbacks: Sequence[TrainerCallback]
) -> Any:
    """TRL's trainer in its full-vocabulary mode, with forward KL and an EMA teacher."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = [
        {
            "prompt": [message.model_dump(include={"role", "content"}) for message in row.messages],
            "privileged_context": row.demonstration,
        }
        for row in work.answered
    ]
    config = SDFTConfig(
        output_dir=str(out),
        per_device_train_batch_size=len(rows) // work.trl_passes,
        gradient_accumulation_steps=work.trl_passes,
        max_steps=steps,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="constant",
        max_grad_norm=1.0,
        max_prompt_length=None,
        max_completion_length=work.new_tokens,
        generation_kwargs={"min_new_tokens": work.new_tokens},
        num_generations=1,
        temperature=1.0,
        distillation_mode="full_logits",
        distillation_alpha=0.0,
        distillation_is_clip=None,
        teacher_model_kind="ema",
        teacher_update_rate=EMA_RATE,
        teacher_prompt_template=TEMPLATE % "{privileged_context}",
        disable_dropout=True,
        shuffle_dataset=False,
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        seed=SEED,
        save_strategy="no",
        report_to="none",
        logging_strategy="no",
        disable_tqdm=True,
    )
    return SDFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        callbacks=list(callbacks),
        peft_config=LoraConfig(
            r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM"
        ),
    )


class Between(TrainerCallback):  # type: ignore[misc]
    """Times TRL's steps, and does something else between them."""

    def __init__(self, other: Callable[[int], None]) -> None:
        self.seconds: list[float] = []
        self._other = other
        self._began_s = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._began_s = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.seconds.append(time.perf_counter() - self._began_s)
        self._other(state.global_step)


def lab_step(trainer: Trainer, work: Work, step: int) -> float:
    """Seconds of one step of the lab."""
    began_s = time.perf_counter()
    training_step(trainer, work.rows, step)
    return time.perf_counter() - began_s
