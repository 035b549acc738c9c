"""Generation equals transformers' own where it is greedy, and the softmax where it samples."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import (
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from backend.config import AdapterConfig
from backend.models.language_model import LanguageModel
from backend.training.generation import Sampling, choose, generate
from tests.tiny_model import PAD_ID, TURN_END_ID, build_model, change_json, load_tiny
from tests.training.tiny_runs import disturb_adapter

NEW_TOKENS = 16
TEXTS = (
    "a",
    "the light",
    "question on you",
    "is the answer in the light of you",
    "x y z",
    "42",
    "?",
    "user",
    "system of example",
)


@pytest.fixture(scope="module", params=["llama", "gpt2", "gemma2"])
def model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> LanguageModel:
    """An adapted model with four end tokens: its own two, and two that it often writes."""
    folder = build_model(tmp_path_factory.mktemp("plain"), family=request.param)
    ends = telling_ends(
        generate(adapted(folder), prompts_of(adapted(folder)), Sampling(NEW_TOKENS))
    )
    target = tmp_path_factory.mktemp("ends") / "model"
    shutil.copytree(folder, target)
    change_json(target / "generation_config.json", eos_token_id=[TURN_END_ID, PAD_ID, *ends])
    return adapted(target)


def telling_ends(written: list[list[int]]) -> tuple[int, int]:
    """Two tokens that end rows at as many places as possible, and some rows not at all."""

    def places(pair: tuple[int, int]) -> int:
        cut = [up_to_first_end(row, frozenset(pair)) for row in written]
        is_telling = any(len(row) == NEW_TOKENS for row in cut) and {r[-1] for r in cut} >= {*pair}
        return len({len(row) for row in cut}) if is_telling else 0

    tokens = sorted({token for row in written for token in row})
    return max(itertools.combinations(tokens, 2), key=places)


def adapted(folder: Path) -> LanguageModel:
    model = load_tiny(folder)
    model.add_adapter(AdapterConfig(rank=4), seed=0)
    disturb_adapter(model)
    return model


def prompts_of(model: LanguageModel) -> list[list[int]]:
    return [model.tokenizer.encode(text) for text in TEXTS]


def transformers_greedy(model: LanguageModel, prompts: list[list[int]]) -> list[list[int]]:
    """model.generate on a left-padded batch, each row up to its first end token."""
    length = max(map(len, prompts))
    ids = torch.tensor([[PAD_ID] * (length - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (length - len(p)) + [1] * len(p) for p in prompts])
    written = model.network.generate(
        input_ids=ids,
        attention_mask=mask,
        do_sample=False,
        max_new_tokens=NEW_TOKENS,
        eos_token_id=sorted(model.tokenizer.eos_ids),
        pad_token_id=PAD_ID,
    )[:, length:].tolist()
    return [up_to_first_end(row, model.tokenizer.eos_ids) for row in written]


def up_to_first_end(row: list[int], ends: frozenset[int]) -> list[int]:
    places = [place for place, token in enumerate(row) if token in ends]
    return row[: places[0] + 1] if places else row


def test_greedy_answers_equal_transformers_generate(model: LanguageModel) -> None:
    """Also where rows end at different times, by any of the end tokens, and leave the batch."""
    ours = generate(model, prompts_of(model), Sampling(NEW_TOKENS))
    assert ours == transformers_greedy(model, prompts_of(model))
    assert len({len(row) for row in ours}) >= 3
    assert max(map(len, ours)) == NEW_TOKENS


def test_only_the_last_token_ends_a_completion(model: LanguageModel) -> None:
    """Checklist 16: the first end token is kept, nothing after it."""
    ends = model.tokenizer.eos_ids
    assert len(ends) == 4
    ours = generate(model, prompts_of(model), Sampling(NEW_TOKENS))
    assert all(token not in ends for row in ours for token in row[:-1])
    assert all(row[-1] in ends or len(row) == NEW_TOKENS for row in ours)
    assert len({row[-1] for row in ours if row[-1] in ends}) == 2  # Both kinds were written.


def test_rows_are_the_same_alone_and_in_any_batch(model: LanguageModel) -> None:
    prompts = prompts_of(model)
    together = generate(model, prompts, Sampling(NEW_TOKENS))
    assert [generate(model, [p], Sampling(NEW_TOKENS))[0] for p in prompts] == together
    assert generate(model, prompts[::-1], Sampling(NEW_TOKENS)) == together[::-1]
    repeated = generate(model, prompts * 3, Sampling(NEW_TOKENS))
    assert repeated == together * 3


def test_a_generator_decides_what_is_sampled(model: LanguageModel) -> None:
    sampling = Sampling(8, temperature=1.0)
    draws = [
        generate(model, prompts_of(model), sampling, torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    ]
    assert draws[0] == draws[1] != draws[2]


def frequencies(logits_V: Tensor, sampling: Sampling, draws: int = 20_000) -> Tensor:
    numbers = torch.rand(draws, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    tokens = choose(logits_V.repeat(draws, 1), sampling, numbers)
    return torch.bincount(tokens, minlength=len(logits_V)).double()


def assert_drawn_from(counts_V: Tensor, expected_V: Tensor) -> None:
    """Nothing outside the support, and a chi-square within 5 standard deviations of its mean."""
    support = expected_V > 0
    assert float(counts_V[~support].sum()) == 0
    wanted = expected_V[support].double() * counts_V.sum()
    chi_square = float(((counts_V[support] - wanted) ** 2 / wanted).sum())
    freedom = int(support.sum()) - 1
    assert chi_square < freedom + 5 * (2 * max(freedom, 1)) ** 0.5


SAMPLINGS = [
    Sampling(1, temperature=1.0),
    Sampling(1, temperature=1.6),
    Sampling(1, temperature=1.0, top_k=3),
    Sampling(1, temperature=0.7, top_p=0.8),
    Sampling(1, temperature=1.6, top_k=20, top_p=0.8),
    Sampling(1, temperature=1.1, top_k=5, top_p=0.95),
    Sampling(1, temperature=1.0, top_p=1e-6),
    Sampling(1, temperature=1.0, top_k=1),
    Sampling(1, temperature=1.0, top_k=100),
    Sampling(1, temperature=1.0, min_p=0.2),
    Sampling(1, temperature=1.3, top_k=8, top_p=0.9, min_p=0.1),
]


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=str)
def test_samples_follow_the_truncated_softmax(sampling: Sampling) -> None:
    """transformers' warpers, in its order, say what is left of the distribution."""
    logits = torch.randn(12, generator=torch.Generator().manual_seed(5)) * 1.5
    scores = TemperatureLogitsWarper(sampling.temperature)(None, logits[None])
    if sampling.top_k:
        scores = TopKLogitsWarper(sampling.top_k)(None, scores)
    if sampling.top_p < 1:
        scores = TopPLogitsWarper(sampling.top_p)(None, scores)
    if sampling.min_p:
        scores = MinPLogitsWarper(sampling.min_p)(None, scores)
    assert_drawn_from(frequencies(logits, sampling), scores[0].softmax(-1))


def test_temperature_zero_takes_the_likeliest() -> None:
    logits = torch.tensor([[0.0, 3.0, 2.9], [5.0, -1.0, 4.9]])
    assert choose(logits, Sampling(1), torch.zeros(2)).tolist() == [1, 0]


def test_the_first_sampled_token_follows_the_models_softmax(model: LanguageModel) -> None:
    """Through the whole of generate: padding, cache and head."""
    prompts = prompts_of(model)
    sampling = Sampling(1, temperature=0.5)
    rows = generate(model, prompts[:2] * 1500, sampling, torch.Generator().manual_seed(3))
    for i, prompt in enumerate(prompts[:2]):
        with torch.no_grad():
            logits = model.network(input_ids=torch.tensor([prompt])).logits[0, -1]
        expected = (logits.double() / 0.5).softmax(-1)
        counts = torch.bincount(torch.tensor([row[0] for row in rows[i::2]]), minlength=len(logits))
        # Bins of fewer than 5 expected draws are taken together.
        rare = expected * 1500 < 5
        binned = torch.cat([expected[~rare], expected[rare].sum()[None]])
        drawn = torch.cat([counts[~rare], counts[rare].sum()[None]]).double()
        assert len(binned) > 5
        assert_drawn_from(drawn, binned)
