"""Choices are as likely as one plain forward pass a choice says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from backend.data.demonstration import Message
from backend.evaluation.likelihood import choice_logprobs
from backend.models.language_model import LanguageModel
from tests.tiny_model import TURN_END_ID, build_model, load_tiny

# Questions and choices of several lengths and numbers; some choices are a single token.
ROWS: list[dict[str, Any]] = [
    {"question": "the light", "choices": ["on", "a", "you and the light of the question"]},
    {"question": "is the answer in the example of the response to you?", "choices": ["a", "b"]},
    {"question": "x", "choices": ["é 世界", "the", "the the", "42", ""]},
]


def plain(model: LanguageModel, question: str, choice: str) -> float:
    """Mean log-probability a token by transformers alone, the end of the turn included."""
    prompt = model.tokenizer.prompt_ids([Message(role="user", content=question)])
    ids = [*model.tokenizer.encode(choice), TURN_END_ID]
    with torch.no_grad():
        logits = model.network(input_ids=torch.tensor([prompt + ids])).logits[0]
    seen = logits[len(prompt) - 1 : -1].double()
    return float(torch.distributions.Categorical(logits=seen).log_prob(torch.tensor(ids)).mean())


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_choices_equal_plain_passes(family: str, tmp_path: Path) -> None:
    """Gemma's window is shorter than the prompts, which are read only once."""
    model = load_tiny(build_model(tmp_path, family=family))
    ours = choice_logprobs(model, ROWS)
    assert [len(row) for row in ours] == [3, 2, 5]
    for row, values in zip(ROWS, ours, strict=True):
        expected = [plain(model, row["question"], choice) for choice in row["choices"]]
        assert values == pytest.approx(expected, abs=2e-5)


def test_rows_are_the_same_alone(tiny_folder: Path) -> None:
    model = load_tiny(tiny_folder)
    together = choice_logprobs(model, ROWS)
    for row, values in zip(ROWS, together, strict=True):
        assert choice_logprobs(model, [row])[0] == pytest.approx(values, abs=1e-5)
