"""Batches: masks by position, padding that is never seen, and sides that line up."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from backend.models.language_model import LanguageModel
from backend.training.packing import Batch, pack
from backend.training.prefill import completion_hidden
from tests.tiny_model import EOS_IDS, PAD_ID, TURN_END_ID, build_model, load_tiny

CPU = torch.device("cpu")
PROMPTS = [[10, 11, 12], [20], [30, 31, 32, 33, 34, 35, 36]]
COMPLETIONS = [[40, 41, TURN_END_ID], [50], [60, 61, 62, 63, PAD_ID]]


@pytest.fixture(scope="module", params=["llama", "gpt2", "gemma2"])
def model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> LanguageModel:
    folder = tmp_path_factory.mktemp("packing")
    return load_tiny(build_model(folder, family=request.param))


def batch(pad_id: int = PAD_ID) -> Batch:
    return pack(PROMPTS, COMPLETIONS, pad_id, CPU)


def transformers_logits(model: LanguageModel, prompt: list[int], completion: list[int]) -> Tensor:
    """Logits [T, V] that predict the completion, from transformers' own forward on one row."""
    with torch.no_grad():
        logits: Tensor = model.network(input_ids=torch.tensor([prompt + completion])).logits[0]
    return logits[len(prompt) - 1 : -1]


def test_prompts_end_and_completions_begin_at_one_place() -> None:
    packed = batch()
    assert packed.completion_ids_BT.shape == (3, 5)
    assert packed.completion_mask_BT.sum(1).tolist() == [3, 1, 5]
    assert packed.completion_ids_N.tolist() == [token for row in COMPLETIONS for token in row]
    assert packed.attention_mask_BL.sum(1).tolist() == [6, 2, 12]
    for i, (prompt, completion) in enumerate(zip(PROMPTS, COMPLETIONS, strict=True)):
        seen = packed.attention_mask_BL[i].bool()
        assert packed.input_ids_BL[i][seen].tolist() == prompt + completion
        assert packed.position_ids_BL[i][seen].tolist() == list(range(int(seen.sum())))


def test_end_tokens_count_even_where_they_are_the_padding_token() -> None:
    """Checklist 16: masks know positions, not ids; the first end token is a counted one."""
    assert PAD_ID in EOS_IDS
    packed = batch()
    last = [packed.completion_ids_BT[i, n - 1] for i, n in enumerate((3, 1, 5))]
    assert [int(token) for token in last] == [TURN_END_ID, 50, PAD_ID]
    assert packed.completion_mask_BT[2].tolist() == [True] * 5


def test_values_go_back_to_their_places() -> None:
    packed = batch()
    values = torch.arange(1.0, 10.0)
    scattered = packed.scatter(values)
    assert torch.equal(scattered[packed.completion_mask_BT], values)
    assert float(scattered[~packed.completion_mask_BT].abs().sum()) == 0.0


def test_hidden_states_give_transformers_own_logits(model: LanguageModel) -> None:
    """Checklist 17: a sample alone equals the same sample inside a padded batch."""
    with torch.no_grad():
        logits_NV = model.head(completion_hidden(model, batch()))
    expected = [
        transformers_logits(model, prompt, completion)
        for prompt, completion in zip(PROMPTS, COMPLETIONS, strict=True)
    ]
    torch.testing.assert_close(logits_NV, torch.cat(expected), atol=2e-5, rtol=1e-4)


def test_what_pads_the_batch_is_never_seen(model: LanguageModel) -> None:
    """Checklist 14."""
    with torch.no_grad():
        hidden = [completion_hidden(model, batch(pad_id)) for pad_id in (PAD_ID, 99)]
    torch.testing.assert_close(*hidden, atol=2e-6, rtol=1e-5)


def test_both_sides_read_identical_completion_tokens_after_different_prompts(
    model: LanguageModel,
) -> None:
    """Checklist 18: row by row, token by token, each side as transformers computes it."""
    longer = [prompt * 3 + [99] for prompt in reversed(PROMPTS)]
    student, teacher = batch(), pack(longer, COMPLETIONS, PAD_ID, CPU)
    assert torch.equal(student.completion_ids_BT, teacher.completion_ids_BT)
    assert torch.equal(student.completion_mask_BT, teacher.completion_mask_BT)
    with torch.no_grad():
        logits_NV = model.head(completion_hidden(model, teacher))
    expected = [
        transformers_logits(model, prompt, completion)
        for prompt, completion in zip(longer, COMPLETIONS, strict=True)
    ]
    torch.testing.assert_close(logits_NV, torch.cat(expected), atol=2e-5, rtol=1e-4)


def test_some_rows_are_the_same_rows(model: LanguageModel) -> None:
    whole = batch()
    with torch.no_grad():
        all_NH = completion_hidden(model, whole)
        parts = [completion_hidden(model, whole.rows(slice(i, i + 1))) for i in range(3)]
    torch.testing.assert_close(torch.cat(parts), all_NH, atol=2e-6, rtol=1e-5)
