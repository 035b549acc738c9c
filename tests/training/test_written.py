"""What was computed while answers were written serves as the student's forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from backend.config import AdapterConfig
from backend.models.language_model import LanguageModel
from backend.training.generation import Sampling, write
from backend.training.packing import pack_for
from backend.training.prefill import completion_hidden
from backend.training.written import Written
from tests.tiny_model import build_model, load_tiny
from tests.training.tiny_runs import (
    EQUAL_CONTEXT,
    demonstrations,
    disturb_adapter,
    gradients_of_step,
    tiny_config,
    tiny_trainer,
)

BEGINNING = [5, 9, 11, 6, 14, 7, 21, 30, 8, 17]
# All begin alike; one prompt is answered three times.
PROMPTS = [[*BEGINNING, 4], [*BEGINNING, 12, 13], [*BEGINNING, 4], [*BEGINNING, 4], [2, 3, 1]]
SAMPLING = Sampling(max_new_tokens=12, temperature=1.0)
FLAT = ("llama", "mistral", "qwen2", "qwen3")


def adapted(folder: Path, **settings: object) -> LanguageModel:
    model = load_tiny(folder)
    model.add_adapter(AdapterConfig(rank=4, **settings), seed=0)  # type: ignore[arg-type]
    disturb_adapter(model)
    model.network.double()
    return model


def write_with(
    model: LanguageModel, prompts: Sequence[Sequence[int]], drafts: Sequence[Sequence[int]] = ()
) -> Written:
    with model.merged():
        generator = torch.Generator().manual_seed(3)
        return write(model, prompts, SAMPLING, generator, drafts, keeps=True)


def read(
    model: LanguageModel, written: Written, *, again: bool
) -> tuple[Tensor, dict[str, Tensor | None]]:
    """Hidden states that predict the completions, and the adapter's gradients."""
    batch = pack_for(model, written.prompts, written.completions)
    hidden_NH = completion_hidden(model, batch, None if again else written)
    hidden_NH.sin().sum().backward()
    found = {name: p.grad for name, p in model.adapter_parameters().items()}
    for parameter in model.adapter_parameters().values():
        parameter.grad = None
    return hidden_NH.detach(), found


def assert_same(model: LanguageModel, written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if all was read again; which it is not."""
    expected, gradients = read(model, written, again=True)
    flat = model.flat()
    assert flat is not None
    with monkeypatch.context() as patched:
        patched.setattr(flat, "read", None)
        found, ours = read(model, written, again=False)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    for name, gradient in gradients.items():
        torch.testing.assert_close(ours[name], gradient, atol=3e-6, rtol=3e-6)


@pytest.mark.parametrize("targets", ["all-linear", ("q_proj", "up_proj", "down_proj")])
@pytest.mark.parametrize("family", FLAT)
def test_gradients_are_those_of_a_forward_pass(
    family: str, targets: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = adapted(build_model(tmp_path, family=family), targets=targets)
    assert_same(model, write_with(model, PROMPTS), monkeypatch)


def test_wrong_guesses_are_left_out(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drafts that are right but for every third token: some that are read do not stay."""
    model = adapted(tiny_folder)
    plain = write_with(model, PROMPTS).completions
    drafts = [[t + (i % 3 == 2) for i, t in enumerate(row)] for row in plain]
    written = write_with(model, PROMPTS, drafts)
    assert written.completions == plain
    assert written.activations is not None
    kept = {place for path in written.paths for place in path}
    assert len(kept) < written.activations.count
    assert_same(model, written, monkeypatch)


def test_rows_may_end_early_and_leave_the_batch(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = adapted(tiny_folder)
    whole = write_with(model, PROMPTS * 2).completions
    model.tokenizer.eos_ids = frozenset(row[1 + i % 9] for i, row in enumerate(whole))
    written = write_with(model, PROMPTS * 2)
    lengths = {len(row) for row in written.completions}
    assert len(lengths) > 3
    assert_same(model, written, monkeypatch)


def test_one_prompt_alone(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = adapted(tiny_folder)
    assert_same(model, write_with(model, PROMPTS[:1]), monkeypatch)


def test_nothing_is_asked_below_the_lowest_adapter(tmp_path: Path) -> None:
    """The first layer has none: what it kept is let go unread."""
    model = adapted(build_model(tmp_path))
    last = max(int(name.split("layers.")[1][0]) for name in model.adapter_parameters())
    for layer in model.network.get_base_model().model.layers[:last]:
        for module in layer.modules():
            if hasattr(module, "enable_adapters"):
                module.enable_adapters(False)
    written = write_with(model, PROMPTS)
    _, expected = read(model, written, again=True)
    _, gradients = read(model, written, again=False)
    assert written.activations is not None
    assert not written.activations._passes
    asked = {name for name, gradient in expected.items() if gradient is not None}
    assert asked == {name for name in expected if f"layers.{last}" in name}
    assert asked == {name for name, gradient in gradients.items() if gradient is not None}
    for name in asked:
        torch.testing.assert_close(gradients[name], expected[name], atol=3e-6, rtol=3e-6)


def test_a_batch_of_others_is_read(tiny_folder: Path) -> None:
    model = adapted(tiny_folder)
    written = write_with(model, PROMPTS)
    others = [[*row[:-1], row[-1] + 1] for row in written.completions]
    batch = pack_for(model, PROMPTS, others)
    found = completion_hidden(model, batch, written)
    torch.testing.assert_close(found, completion_hidden(model, batch), atol=0, rtol=0)


def reads(trainer: Any, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each pass of flat tokens from now on, whether a gradient was asked for."""
    found: list[bool] = []
    flat = trainer.model.flat()
    read = flat.read

    def counted(*given: Any) -> Tensor:
        found.append(torch.is_grad_enabled())
        hidden_NH: Tensor = read(*given)
        return hidden_NH

    monkeypatch.setattr(flat, "read", counted)
    return found


@pytest.mark.parametrize(
    ("choices", "passes"),
    [
        ({}, [False]),
        ({"micro_batch_size": 2}, [False, False, True, True]),
        ({"rollout__source": "demonstration"}, [False, True]),
        # Both sides read the same: rounding must not set them apart.
        (EQUAL_CONTEXT, [False, True]),
    ],
)
def test_a_step_reads_as_student_only_what_it_has_not_written(
    choices: dict[str, object],
    passes: list[bool],
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trainer = tiny_trainer(tiny_folder, tiny_config(**choices))
    rows = demonstrations(4)
    if "teacher__template" in choices:
        rows = [row.model_copy(update={"demonstration": ""}) for row in rows]
    found = reads(trainer, monkeypatch)
    report, _ = gradients_of_step(trainer, rows)
    assert found == passes
    activations = report.rollouts.written and report.rollouts.written.activations
    if activations is not None:  # Nothing of it stays with the report.
        assert (activations._passes, activations._after) == ([], [])
