"""Frozen layers as oneDNN multiplies them: PEFT's values and gradients, for every family."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from backend.config import AdapterConfig
from backend.models.language_model import LanguageModel
from backend.models.products import linear_layers, product
from tests.tiny_model import build_model, load_tiny
from tests.training.tiny_runs import disturb_adapter, logits_of

ATOL = 1e-5


@pytest.fixture(params=["llama", "qwen3", "gemma2", "gpt2"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> LanguageModel:
    found = load_tiny(build_model(tmp_path, family=request.param))
    found.add_adapter(AdapterConfig(rank=4), seed=0)
    disturb_adapter(found)
    return found


def as_peft_has_it(model: LanguageModel) -> None:
    for layer in linear_layers(model.network):
        layer.__dict__.pop("forward", None)


def gradients(model: LanguageModel) -> dict[str, Tensor]:
    ids = torch.arange(3, 27).view(2, 12)
    hidden = model.backbone(input_ids=ids).last_hidden_state
    model.head(hidden).logsumexp(-1).square().sum().backward()
    found = {n: p.grad for n, p in model.adapter_parameters().items() if p.grad is not None}
    for parameter in model.adapter_parameters().values():
        parameter.grad = None
    return found


def test_values_and_gradients_are_those_of_peft(model: LanguageModel) -> None:
    ours, logits = gradients(model), logits_of(model)
    with model.base_weights():
        base = logits_of(model)
    as_peft_has_it(model)
    theirs = gradients(model)
    assert ours.keys() == theirs.keys() == model.adapter_parameters().keys()
    for name, gradient in theirs.items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(ours[name] / scale, gradient / scale, atol=ATOL, rtol=0)
    torch.testing.assert_close(logits_of(model), logits, atol=ATOL, rtol=ATOL)
    with model.base_weights():
        torch.testing.assert_close(logits_of(model), base, atol=ATOL, rtol=ATOL)
    assert not torch.allclose(base, logits, atol=1e-2)


def test_closed_forms_hold_in_double_precision() -> None:
    """A layer's gradients, from their formulas in float64."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(7, 5)
    rows, gradient = torch.randn(3, 7, requires_grad=True), torch.randn(3, 5)
    found = product(rows.detach(), layer.weight.detach(), layer.bias.detach())
    exact = rows.double() @ layer.weight.double().t() + layer.bias.double()
    torch.testing.assert_close(found.double(), exact, atol=1e-6, rtol=0)
    back = product(gradient, layer.weight.detach().t())
    torch.testing.assert_close(
        back.double(), gradient.double() @ layer.weight.double(), atol=1e-6, rtol=0
    )


def test_weights_that_train_get_their_gradients(tiny_folder: Path) -> None:
    model = load_tiny(tiny_folder)
    model.add_adapter(AdapterConfig(full=True), seed=0)
    found = gradients(model)
    assert found.keys() == model.adapter_parameters().keys()
    assert all(bool(gradient.abs().sum() > 0) for gradient in found.values())
