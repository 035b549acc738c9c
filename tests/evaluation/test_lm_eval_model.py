"""What the lab computes for lm-eval is what lm-eval's own HFLM computes on the same network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import AutoTokenizer

from backend.config import AdapterConfig
from backend.evaluation.lm_eval_model import lm_eval_model, scores
from backend.models.language_model import LanguageModel
from tests.tiny_model import CONTEXT_LENGTH, build_model, load_tiny
from tests.training.tiny_runs import disturb_adapter

# One that the fused reader serves, and those that it does not; gemma reads by a window of 8.
FAMILIES = ("llama", "gpt2", "gemma2", "granite")
LONG = "the light is on you and the answer of the question " * 90
HEADER = "the example of the response: " * 8
PAIRS = [
    ("the light", " on"),
    ("the light", " is"),
    ("the light ", "is on"),
    ("the light", " is on the"),
    ("the light", " is on the"),
    ("", "the answer"),
    ("", "the light of the question"),
    ("a", " b"),
    ("x", " é 世界"),
    (LONG, " light"),
    (LONG, " the light is on you"),
    (LONG[: len(LONG) // 2], " the light" * 100),
    *((f"{HEADER}{n} light", f" {word}") for n in range(6) for word in ("on", "the light", "42")),
]
pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module", params=FAMILIES)
def model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> LanguageModel:
    """A student that differs from its base."""
    folder: Path = build_model(tmp_path_factory.mktemp(request.param), family=request.param)
    model = load_tiny(folder)
    model.add_adapter(AdapterConfig(rank=4), seed=0)
    disturb_adapter(model)
    return model


def hflm(model: LanguageModel, **options: Any) -> Any:
    return HFLM(
        pretrained=model.network,
        backend="causal",
        batch_size=1,
        max_length=model.context_length,
        **options,
        tokenizer=AutoTokenizer.from_pretrained(model.tokenizer.folder),
    )


def asked(kind: Any, *arguments: tuple[str, ...]) -> list[Instance]:
    return [Instance(kind, {}, pair, place) for place, pair in enumerate(arguments)]


def test_likelihoods_and_greediness_are_lm_evals_own(model: LanguageModel) -> None:
    requests = asked("loglikelihood", *PAIRS)
    theirs = hflm(model).loglikelihood(requests, disable_tqdm=True)
    with model.merged():
        ours = lm_eval_model(model).loglikelihood(requests, disable_tqdm=True)
    for (context, continuation), one, other in zip(PAIRS, ours, theirs, strict=True):
        close = pytest.approx(other[0], abs=1e-4, rel=1e-6)
        assert one[0] == close, (context[:30], continuation)
    assert [one for _, one in ours] == [other for _, other in theirs]
    assert len({round(value, 3) for value, _ in ours}) > 15


def test_the_same_tokens_may_be_parted_elsewhere(model: LanguageModel) -> None:
    """HFLM without its cache: with it, it takes the values of other tokens (lm-eval 0.4.13)."""
    requests = asked("loglikelihood", ("the light", " is on the"), ("the light is", " on the"))
    theirs = hflm(model, logits_cache=False).loglikelihood(requests, disable_tqdm=True)
    ours = lm_eval_model(model).loglikelihood(requests, disable_tqdm=True)
    for one, other in zip(ours, theirs, strict=True):
        assert one[0] == pytest.approx(other[0], abs=1e-4)


def test_what_the_model_would_write_is_greedy(model: LanguageModel) -> None:
    lab = lm_eval_model(model)
    context = model.tokenizer.encode("the light")
    ids = context
    for _ in range(3):
        logits = model.network(input_ids=torch.tensor([ids])).logits[0, -1]
        ids = [*ids, int(logits.argmax())]
    written = ids[len(context) :]
    other = [*written[:-1], (written[-1] + 1) % 50]
    found = lab._loglikelihood_tokens([(None, context, written), (None, context, other)])
    assert [is_greedy for _, is_greedy in found] == [True, False]


def test_texts_as_a_whole_are_as_likely_as_lm_eval_has_them(model: LanguageModel) -> None:
    """One is longer than the model can read, and read in windows."""
    texts = ("the light is on", LONG, "a")
    requests = asked("loglikelihood_rolling", *((text,) for text in texts))
    assert len(model.tokenizer.encode(LONG)) > CONTEXT_LENGTH
    theirs = hflm(model).loglikelihood_rolling(requests, disable_tqdm=True)
    with model.merged():
        ours = lm_eval_model(model).loglikelihood_rolling(requests, disable_tqdm=True)
    assert ours == pytest.approx(theirs, abs=1e-4, rel=1e-6)


def test_one_more_token_than_the_model_reads_is_scored(model: LanguageModel) -> None:
    ids = (model.tokenizer.encode(LONG))[: CONTEXT_LENGTH + 1]
    requests = [(None, ids[:-2], ids[-2:]), (None, [5, *ids[:-2]], ids[-2:])]
    theirs = hflm(model)._loglikelihood_tokens(requests, disable_tqdm=True)
    ours = scores(model, requests)
    assert [value for value, _ in ours] == pytest.approx([value for value, _ in theirs], abs=1e-4)
    assert ours[0] == pytest.approx(ours[1])


@pytest.mark.parametrize(
    "wanted",
    [
        {"until": ["\n\n"], "max_gen_toks": 40, "do_sample": False},
        {"until": ["e", "th"], "max_gen_toks": 40},
        {"until": "a", "max_gen_toks": 3, "do_sample": False, "temperature": 0.0},
    ],
)
def test_written_answers_are_lm_evals_own(model: LanguageModel, wanted: dict[str, Any]) -> None:
    contexts = ["the light", "a", "is the answer in the example of the response?", LONG, "x 世界"]
    requests = [Instance("generate_until", {}, (text, wanted), 0) for text in contexts]
    theirs = hflm(model).generate_until(requests, disable_tqdm=True)
    with model.merged():
        ours = lm_eval_model(model).generate_until(requests, disable_tqdm=True)
    assert ours == theirs
    assert len(set(ours)) > 1


def test_sampled_answers_are_left_to_lm_eval(model: LanguageModel) -> None:
    wanted = {"until": ["\n\n"], "max_gen_toks": 8, "do_sample": True, "temperature": 1.0}
    requests = [Instance("generate_until", {}, ("the light", wanted), 0)]
    written = []
    for lab in (hflm(model), lm_eval_model(model)):
        torch.manual_seed(0)
        written += lab.generate_until(requests, disable_tqdm=True)
    assert written[0] == written[1]
