"""Greedy answers are transformers' own in every family: merged or not, with drafts or without."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

import pytest

from backend.models.language_model import LanguageModel
from backend.models.llama import is_llama
from backend.training.generation import Sampling, generate
from tests.tiny_model import build_model, load_tiny
from tests.training.test_drafts import disturbed
from tests.training.test_generation import NEW_TOKENS, adapted, prompts_of, transformers_greedy

# Those that a forward of the lab's own reads, and those that transformers' layers do.
SERVED = ("llama", "qwen3")
OTHERS = ("gemma", "gemma3_text", "gpt2")


@pytest.fixture(scope="module", params=[*SERVED, *OTHERS])
def model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> LanguageModel:
    return adapted(build_model(tmp_path_factory.mktemp(request.param), family=request.param))


@pytest.fixture(scope="module")
def expected(model: LanguageModel) -> list[list[int]]:
    """What transformers' generate writes, under PEFT's adapter."""
    written = transformers_greedy(model, prompts_of(model))
    assert len({tuple(row) for row in written}) > 5
    return written


@pytest.mark.parametrize("is_merged", [False, True], ids=["unmerged", "merged"])
@pytest.mark.parametrize("draft", ["none", "right", "nearly", "others"])
def test_greedy_tokens_are_those_of_transformers(
    model: LanguageModel, expected: list[list[int]], draft: str, is_merged: bool
) -> None:
    drafts = {
        "none": [],
        "right": expected,
        "nearly": disturbed(expected, 5),
        "others": expected[1:] + expected[:1],
    }[draft]
    with model.merged() if is_merged else contextlib.nullcontext():
        written = generate(model, prompts_of(model), Sampling(NEW_TOKENS), None, drafts)
    assert written == expected


@pytest.mark.parametrize("family", [*SERVED, *OTHERS])
def test_a_model_that_is_read_by_transformers_says_so(
    family: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "backend"):
        model = load_tiny(build_model(tmp_path, family=family))
    assert is_llama(model.network.base_model) == (family in SERVED)
    told = [line for line in caplog.messages if "transformers' own layers" in line]
    assert told == (
        []
        if family in SERVED
        else [f"{tmp_path} is read by transformers' own layers: its answers take longer"]
    )
