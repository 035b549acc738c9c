"""Models of several families: logits as transformers computes them, and an adapter on the base."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from backend.config import AdapterConfig
from backend.errors import ModelError
from backend.models.language_model import LanguageModel, OutputHead, weights_digest
from backend.training.step import training_step
from tests.tiny_model import build_model, change_json, load_tiny
from tests.training.tiny_runs import (
    adapter_of,
    assert_equal_tensors,
    demonstrations,
    disturb_adapter,
    logits_of,
    tiny_config,
    tiny_trainer,
)

SMALL = AdapterConfig(rank=4)


@pytest.fixture
def model(tiny_folder: Path) -> LanguageModel:
    return load_tiny(tiny_folder)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2", "cohere", "granite"])
def test_backbone_and_head_give_the_models_logits(family: str, tmp_path: Path) -> None:
    """Also where a family scales or caps its logits after the head."""
    model = load_tiny(build_model(tmp_path, family=family))
    ids = torch.arange(5, 40)[None]
    with torch.no_grad():
        ours = model.head(model.backbone(input_ids=ids).last_hidden_state[0])
        theirs = model.network(input_ids=ids).logits[0]
    torch.testing.assert_close(ours, theirs)


def test_a_family_whose_logits_are_changed_in_another_way_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="changes its logits after the head"):
        load_tiny(build_model(tmp_path, family="falcon_h1"))


def test_scale_and_cap_come_in_their_order() -> None:
    layer = torch.nn.Linear(3, 5)
    hidden = torch.randn(2, 3)
    expected = torch.tanh(layer(hidden) * 0.5 / 2.0) * 2.0
    torch.testing.assert_close(OutputHead(layer, 0.5, 2.0)(hidden), expected)
    torch.testing.assert_close(OutputHead(layer, 1.0, None)(hidden), layer(hidden))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_logits_are_fp32_whatever_hidden_states_and_weights_are(dtype: torch.dtype) -> None:
    """CUDA's autocast makes a LayerNorm's output fp32 over bf16 weights."""
    layer = torch.nn.Linear(3, 5, dtype=dtype)
    head = OutputHead(layer, 1.0, None)
    hidden = torch.randn(2, 3)
    logits = [head(hidden), head(hidden.bfloat16())]
    assert [each.dtype for each in logits] == [torch.float32] * 2
    torch.testing.assert_close(*logits, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_half_precision_weights_train_an_fp32_adapter(family: str, tmp_path: Path) -> None:
    """Checklist 10: as on a GPU; hidden states in bf16, the adapter and the loss in fp32."""
    folder = build_model(tmp_path, family=family)
    reports = {}
    for dtype in (torch.float32, torch.bfloat16):
        trainer = tiny_trainer(folder, tiny_config(rollout__source="demonstration"), dtype=dtype)
        reports[dtype] = training_step(trainer, demonstrations(4), 0)
        assert {p.dtype for p in trainer.model.adapter_parameters().values()} == {torch.float32}
        assert {t.dtype for t in trainer.teacher.average.values()} == {torch.float32}
    half = reports[torch.bfloat16]
    assert half.compared.divergence_N.dtype == torch.float32
    assert half.compared.divergence_N.min() > -1e-6
    assert half.loss == pytest.approx(reports[torch.float32].loss, rel=0.1)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_fresh_adapter_changes_nothing_and_a_moved_one_does(family: str, tmp_path: Path) -> None:
    model = load_tiny(build_model(tmp_path, family=family))
    assert not model.has_adapter
    base = logits_of(model)
    model.add_adapter(SMALL, seed=0)
    assert model.has_adapter
    assert torch.equal(logits_of(model), base)
    disturb_adapter(model)
    assert not torch.allclose(logits_of(model), base, atol=0.05)
    with model.base_weights():
        assert torch.equal(logits_of(model), base)
    assert not torch.allclose(logits_of(model), base, atol=0.05)


def test_only_the_adapter_is_trained(model: LanguageModel) -> None:
    assert model.adapter_parameters() == {}
    model.add_adapter(SMALL, seed=0)
    names = set(model.adapter_parameters())
    assert names == {name for name, _ in model.network.named_parameters() if "lora_" in name}
    layers = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    assert len(names) == 2 * 2 * len(layers)
    assert all(any(layer in name for layer in layers) for name in names)


def test_the_seed_decides_where_an_adapter_starts(tiny_folder: Path) -> None:
    first, same, other = (load_tiny(tiny_folder) for _ in range(3))
    for model, seed in ((first, 3), (same, 3), (other, 4)):
        torch.rand(seed)  # What was drawn before must not matter.
        model.add_adapter(SMALL, seed)
    assert_equal_tensors(adapter_of(first), adapter_of(same))
    assert any(not torch.equal(p, adapter_of(other)[n]) for n, p in adapter_of(first).items())


def test_targets_may_be_named(model: LanguageModel) -> None:
    model.add_adapter(AdapterConfig(rank=2, targets=("q_proj",)), seed=0)
    assert all("q_proj" in name for name in model.adapter_parameters())


def test_layers_that_do_not_exist_are_refused(model: LanguageModel) -> None:
    with pytest.raises(ModelError, match=r"adapter\.targets: the adapter does not fit"):
        model.add_adapter(AdapterConfig(targets=("no_such_layer",)), seed=0)


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`:UserWarning")
def test_the_output_layer_is_refused(model: LanguageModel) -> None:
    """The loss reads it past the adapter, which would silently learn nothing there."""
    with pytest.raises(ModelError, match="the output layer cannot be adapted"):
        model.add_adapter(AdapterConfig(targets=("q_proj", "lm_head")), seed=0)


def test_a_folder_that_holds_no_model_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(tiny_folder, folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="model: cannot load"):
        load_tiny(folder)


def test_the_digest_tells_models_apart(tiny_folder: Path, tmp_path: Path) -> None:
    again, other = (build_model(tmp_path / name, seed=seed) for name, seed in (("a", 0), ("b", 1)))
    assert weights_digest(again) == weights_digest(tiny_folder)
    assert weights_digest(other) != weights_digest(tiny_folder)
    change_json(again / "config.json", rms_norm_eps=0.1)
    assert weights_digest(again) != weights_digest(tiny_folder)


@pytest.mark.parametrize("name", ["tokenizer_config.json", "generation_config.json"])
def test_the_digest_knows_how_a_model_reads_and_ends(
    name: str, tiny_folder: Path, tmp_path: Path
) -> None:
    """Another chat template or end token makes other answers of the same weights."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    change_json(folder / name, chat_template="{{ messages }}", eos_token_id=5)
    assert weights_digest(folder) != weights_digest(tiny_folder)
    shutil.copytree(tiny_folder, folder, dirs_exist_ok=True)
    assert weights_digest(folder) == weights_digest(tiny_folder)
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert weights_digest(folder) != weights_digest(tiny_folder)


def test_the_digest_tells_a_merged_model_from_its_base(tmp_path: Path) -> None:
    """Same shapes, same first megabytes: only layers far into the file differ."""
    digests = set()
    for value in (1.0, 1.5):
        folder = tmp_path / str(value)
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        layers = {"embeddings": torch.zeros(1 << 20), "last": torch.full((1 << 12,), value)}
        save_file(layers, folder / "model.safetensors")
        digests.add(weights_digest(folder))
    assert len(digests) == 2
