"""The bundled model, converted afresh, trained for two steps, and taken home."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from backend.bootstrap import build_lab
from backend.config import DEFAULT_MODEL, RunConfig
from backend.documents import validate
from backend.jobs.work.context import run_folder
from backend.lab import Lab
from backend.models.compute import choose_compute
from backend.models.language_model import load_model
from backend.models.materialise import local_folder
from backend.settings import Settings
from backend.training.checkpoints import load_adapter
from tests.cli import contract
from tests.integration.plain_peft import plain_logits
from tests.training.tiny_runs import logits_of

TEXT = "<|im_start|>user\nMy invoice is wrong.<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture(scope="session")
def real_lab(bundled_models: Path) -> Iterator[Lab]:
    """A lab with the bundled tasks and the bundled model."""
    settings = Settings(home=bundled_models.parent, threads=2)
    lab = build_lab(settings)
    lab.add_bundled_tasks()
    folder = local_folder(DEFAULT_MODEL, settings.home)
    assert (folder / "model.safetensors").is_file()
    yield lab
    lab.close()


def test_two_steps_of_sdft_on_the_bundled_model_give_an_adapter_that_peft_loads(
    real_lab: Lab, tmp_path: Path
) -> None:
    document = {
        "task": "tickets",
        "method": "sdft/small-model",
        "steps": 2,
        "batch_size": 4,
        "evaluate": {"probes": ["task", "prior:facts"], "limit": 4, "facts_limit": 8,
                     "max_new_tokens": 8, "premise": False},
        "traces": {"every": 2, "watched": 1, "sampled": 1},
        "optimizer": {"learning_rate": 1e-3, "warmup_steps": 0},
    }  # fmt: skip
    configs = real_lab.configure(document)
    assert real_lab.estimate(configs[0])["known"]
    (run,) = real_lab.wait(real_lab.train(configs))
    assert run["state"] == "done", run["error"]
    contract.check(contract.Run, run)
    assert {(e["probe"], e["step"]) for e in run["evaluations"]} == {
        (probe, step) for probe in ("task:tickets", "prior:facts") for step in (0, 2)
    }
    real_lab.export(run["id"], tmp_path / "adapter")

    settings = real_lab.settings
    base = local_folder(DEFAULT_MODEL, settings.home)
    alone = plain_logits(base, tmp_path / "adapter", TEXT, tmp_path)
    student = load_model(DEFAULT_MODEL, base, choose_compute(1))
    student.add_adapter(validate(RunConfig, run["config"], "run").adapter, seed=0)
    load_adapter(student, run_folder(settings, run["id"]) / "checkpoints" / "step-00000002")
    assert alone["ids"][0].tolist() == student.tokenizer.encode(TEXT)
    torch.testing.assert_close(alone["adapted"], logits_of(student, TEXT), atol=2e-3, rtol=1e-4)
    assert (alone["adapted"] - alone["plain"]).abs().max() > 0.1
