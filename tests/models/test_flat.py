"""Tokens read flat give what transformers' own layers give, with gradients, and keep less."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from backend.config import AdapterConfig
from backend.models.language_model import LanguageModel
from backend.training.packing import pack
from backend.training.prefill import completion_hidden
from tests.tiny_model import PAD_ID, build_model, load_tiny
from tests.training.tiny_runs import disturb_adapter

BEGINNING = [5, 9, 11, 6, 14, 7, 21, 30, 8, 17]
# All begin alike; one prompt is answered three times, others once.
PROMPTS = [[*BEGINNING, 4], [*BEGINNING, 12, 13], [*BEGINNING, 4], [*BEGINNING, 4], [*BEGINNING, 8]]
COMPLETIONS = [[40, 41], [50], [60, 61, 62, 63], [], [44, 45, 46]]
FLAT = ("llama", "mistral", "qwen2", "qwen3")


def adapted(folder: Path, dtype: torch.dtype = torch.float32, **settings: object) -> LanguageModel:
    model = load_tiny(folder, dtype)
    model.add_adapter(AdapterConfig(rank=4, **settings), seed=0)  # type: ignore[arg-type]
    disturb_adapter(model)
    return model


def read(
    model: LanguageModel, prompts: list[list[int]] = PROMPTS
) -> tuple[Tensor, dict[str, Tensor]]:
    """Hidden states that predict the completions, and the adapter's gradients."""
    batch = pack(prompts, COMPLETIONS, PAD_ID, model.compute.device)
    hidden_NH = completion_hidden(model, batch)
    hidden_NH.float().sin().sum().backward()
    found = {n: p.grad for n, p in model.adapter_parameters().items() if p.grad is not None}
    for parameter in model.adapter_parameters().values():
        parameter.grad = None
    return hidden_NH.detach(), found


def by_own_layers(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "flat", lambda: None)


def apart(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    """The norm of the difference over the norm."""
    one, other = (torch.cat([side[n].flatten() for n in theirs]) for side in (ours, theirs))
    return float((one - other).norm() / other.norm())


@pytest.mark.parametrize("targets", ["all-linear", ("q_proj", "up_proj", "down_proj")])
@pytest.mark.parametrize("family", FLAT)
def test_values_and_gradients_are_those_of_the_networks_own_layers(
    family: str, targets: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In fp64, but for the norms, for which transformers goes down to fp32."""
    model = adapted(build_model(tmp_path, family=family), targets=targets)
    model.network.double()
    assert model.flat() is not None
    ours, gradients = read(model)
    by_own_layers(model, monkeypatch)
    theirs, expected = read(model)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    assert gradients.keys() == expected.keys() == model.adapter_parameters().keys()
    assert apart(gradients, expected) < 1e-5


def test_prompts_that_share_nothing_are_read_as_well(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = adapted(tiny_folder)
    model.network.double()
    prompts = [[n, *BEGINNING[: 4 + n]] for n in range(5)]
    ours, gradients = read(model, prompts)
    by_own_layers(model, monkeypatch)
    theirs, expected = read(model, prompts)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    assert apart(gradients, expected) < 1e-5


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_half_precision_is_as_exact_as_the_networks_own(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against fp32; the parameters of the adapter stay in it, and so do their gradients."""
    folder = build_model(tmp_path, family=family)
    exact, expected = read(adapted(folder))
    model = adapted(folder, torch.bfloat16)
    assert model.flat() is not None
    ours, gradients = read(model)
    by_own_layers(model, monkeypatch)
    theirs, others = read(model)
    assert ours.dtype == theirs.dtype == torch.bfloat16
    assert (ours.float() - exact).norm() < 1.5 * (theirs.float() - exact).norm()
    assert {gradient.dtype for gradient in gradients.values()} == {torch.float32}
    assert apart(gradients, expected) < 1.5 * apart(others, expected)


def test_far_less_is_kept_for_the_backward_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = adapted(build_model(tmp_path))
    flat = bytes_kept(model)
    by_own_layers(model, monkeypatch)
    assert flat < 0.6 * bytes_kept(model)


def bytes_kept(model: LanguageModel) -> int:
    """Bytes of all tensors that autograd holds after a forward pass, each counted once."""
    held: dict[int, int] = {}
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.network.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    batch = pack(PROMPTS, [[40] * 20] * 5, PAD_ID, model.compute.device)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        hidden_NH = completion_hidden(model, batch)
    assert hidden_NH.requires_grad
    return sum(held.values())


def test_the_base_and_other_weights_are_read_where_they_are_in_place(tiny_folder: Path) -> None:
    model = adapted(tiny_folder)
    student, _ = read(model)
    with torch.no_grad(), model.base_weights():
        batch = pack(PROMPTS, COMPLETIONS, PAD_ID, model.compute.device)
        base = completion_hidden(model, batch)
        plain = load_tiny(tiny_folder)
        torch.testing.assert_close(base, completion_hidden(plain, batch), atol=1e-6, rtol=0)
    assert not torch.allclose(base, student, atol=1e-2)


def test_layers_that_are_read_together_hold_their_weights_once(tiny_folder: Path) -> None:
    model, untouched = adapted(tiny_folder), load_tiny(tiny_folder)
    assert model.flat() is not None
    attention = model.network.get_base_model().model.layers[0].self_attn
    storages = {
        part.base_layer.weight.untyped_storage().data_ptr()
        for part in (attention.q_proj, attention.k_proj, attention.v_proj)
    }
    assert len(storages) == 1
    for name, weight in untouched.network.named_parameters():
        place = "base_model.model." + name.replace("_proj.", "_proj.base_layer.")
        assert torch.equal(model.network.get_parameter(place), weight)


@pytest.mark.parametrize("settings", [{"dora": True}, {"full": True}])
def test_adapters_of_other_kinds_go_by_the_networks_own_layers(
    settings: dict[str, object], tiny_folder: Path
) -> None:
    model = load_tiny(tiny_folder)
    assert model.flat() is not None
    model.add_adapter(AdapterConfig(**settings), seed=0)  # type: ignore[arg-type]
    assert model.flat() is None
    hidden_NH, gradients = read(model)
    assert gradients.keys() == model.adapter_parameters().keys()
    assert bool(torch.isfinite(hidden_NH).all())


@pytest.mark.parametrize("family", ["gemma2", "gpt2", "cohere"])
def test_families_of_other_shapes_go_by_their_own_layers(family: str, tmp_path: Path) -> None:
    assert load_tiny(build_model(tmp_path, family=family)).flat() is None


def test_merged_weights_are_read_where_they_are_in_place(tiny_folder: Path) -> None:
    model = adapted(tiny_folder)
    with model.merged():
        assert model.flat() is None
    assert model.flat() is not None
