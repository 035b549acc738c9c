"""What is written with a draft is what is written without, in fewer passes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from backend.config import AdapterConfig
from backend.models.language_model import LanguageModel
from backend.training.drafts import Draft, Guess, Guessing, Kind, Phrases
from backend.training.generation import Sampling, generate
from tests.tiny_model import build_model, load_tiny
from tests.training.test_generation import assert_drawn_from, prompts_of
from tests.training.tiny_runs import disturb_adapter

LENGTH = 24
GREEDY, SAMPLED = Sampling(LENGTH), Sampling(LENGTH, temperature=1.0, top_p=0.95)


@pytest.fixture(scope="module", params=["llama", "gpt2", "gemma2"])
def model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> LanguageModel:
    found = load_tiny(build_model(tmp_path_factory.mktemp("drafts"), family=request.param))
    found.add_adapter(AdapterConfig(rank=4), seed=0)
    disturb_adapter(found)
    return found


def count_passes(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often the network is asked from now on, as the only item."""
    passes, backbone = [0], model.backbone

    def counted(**inputs: object) -> object:
        passes[0] += 1
        return backbone(**inputs)

    monkeypatch.setattr(model, "backbone", counted)
    return passes


def written(
    model: LanguageModel,
    sampling: Sampling,
    drafts: Sequence[Sequence[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[list[list[int]], int]:
    """The completions, and how often the network was asked."""
    passes = count_passes(model, monkeypatch)
    generator = torch.Generator().manual_seed(7)
    return generate(model, prompts_of(model), sampling, generator, drafts), passes[0]


def disturbed(texts: Sequence[Sequence[int]], every: int) -> list[list[int]]:
    """Each text with every n-th token another one, or left out, or doubled, in turn."""
    found = []
    for text in texts:
        out: list[int] = []
        for place, token in enumerate(text):
            kind = (place // every) % 3 if place % every == every - 1 else None
            out += {None: [token], 0: [token + 1], 1: [], 2: [token, token]}[kind]
        found.append(out)
    return found


@pytest.mark.parametrize("sampling", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_completions_are_the_same_whatever_the_draft(
    model: LanguageModel, sampling: Sampling, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, passes = written(model, sampling, (), monkeypatch)
    drafts = {
        "right": plain,
        "nearly": disturbed(plain, 5),
        "half": disturbed(plain, 2),
        "others": plain[1:] + plain[:1],
        "longer": [[*row, 5, 6, 7] for row in plain],
        "empty": [[] for _ in plain],
    }
    needed = {}
    for name, texts in drafts.items():
        again, needed[name] = written(model, sampling, texts, monkeypatch)
        assert again == plain, name
    if model.network.config.model_type == "gemma2":  # Its window slides: nothing is guessed.
        assert set(needed.values()) == {passes}
    else:
        assert needed["right"] < passes / 2
        assert needed["right"] < needed["nearly"] < passes
        assert needed["empty"] == passes


def test_drafted_tokens_follow_the_models_softmax(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third token, where the draft of the second was right, by frequencies."""
    model, batches, temperature = load_tiny(tiny_folder), 200, 0.6
    prompt = prompts_of(model)[1]
    draft = generate(model, [prompt], Sampling(3))[0]
    assert len(draft) == 3
    with torch.no_grad():
        ids = torch.tensor([prompt + draft[:2]])
        logits = model.network(input_ids=ids).logits[0, -1]
    asked = count_passes(model, monkeypatch)
    generator = torch.Generator().manual_seed(1)
    sampling = Sampling(3, temperature=temperature, top_k=5)
    rows = [
        row
        for _ in range(batches)
        for row in generate(model, [prompt] * 4, sampling, generator, [draft] * 4)
    ]
    third = [row[2] for row in rows if row[:2] == draft[:2]]
    likeliest = logits.topk(5)
    expected = torch.zeros_like(logits).scatter(
        0, likeliest.indices, (likeliest.values / temperature).softmax(-1)
    )
    assert asked[0] < 4 * batches  # Prompts take two passes, since they begin alike.
    assert len(third) > 80
    assert_drawn_from(torch.bincount(torch.tensor(third), minlength=len(expected)), expected)


def tokens(guesses: Sequence[Guess]) -> list[int]:
    return [token for token, _ in guesses]


def test_a_draft_is_followed_again_after_another_word() -> None:
    draft = Draft([1, 2, 3, 4, 5, 6])
    assert draft.ahead(3) == [(1, "draft"), (2, "draft"), (3, "draft")]
    draft.see(1)
    assert tokens(draft.ahead(3)) == [2, 3, 4]
    draft.see(9)  # Perhaps instead of 2.
    assert draft.ahead(3) == [(3, "place"), (4, "draft"), (5, "draft")]
    draft.see(9)
    assert draft.ahead(9) == [(4, "place"), (5, "draft"), (6, "draft")]
    draft.see(3)
    assert tokens(draft.ahead(9)) == [4, 5, 6]
    draft.see(6)
    assert draft.ahead(9) == []
    assert Draft().ahead(3) == []


def test_a_row_that_left_its_draft_is_offered_what_others_say() -> None:
    """Until it comes back to its own: as it does here, at the token 5."""
    own, other = [1, 2, 5, 6], [7, 8, 5, 9]
    draft = Draft(own, Phrases([own, other]))
    draft.see(7)
    assert draft.ahead(9) == [(8, "phrase"), (5, "phrase"), (6, "draft")]
    draft.see(99)  # Nobody has written that before.
    assert draft.ahead(1) == [(5, "place")]


def test_what_was_drawn_behind_a_wrong_token_is_offered_instead() -> None:
    """Where the draft says what it said then; after 9, the row would have drawn 7 instead of 4."""
    draft = Draft([1, 2, 3, 4, 5])
    draft.see(1)
    draft.see(9)
    draft.miss([(3, 3), (4, 7)])
    assert tokens(draft.ahead(3)) == [3, 7, 5]
    draft.see(3)
    assert tokens(draft.ahead(3)) == [7, 5]
    draft.miss([])
    assert tokens(draft.ahead(3)) == [4, 5]


def test_phrases_know_what_most_often_follows_the_most_tokens() -> None:
    phrases = Phrases([[1, 2, 3], [1, 2, 3], [1, 2, 4], [5, 2, 4], [2, 4]])
    assert phrases.after([1, 2]) == 3
    assert phrases.after([9, 1, 2]) == 3
    assert phrases.after([5, 2]) == phrases.after([2]) == 4
    assert phrases.after([3]) is phrases.after([]) is None


def test_offers_go_as_deep_as_they_pay() -> None:
    """Deeper the more often they were right, and less deep the more rows write on."""

    def depths(
        rows: int, left: int = 0, judged: Kind = "draft", times: int = 0, right: int = 0
    ) -> tuple[int, int]:
        """Of rows that follow their draft, and of those that have left it."""
        guessing, drafts = Guessing(), [Draft(range(40)) for _ in range(rows)]
        for _ in range(times):
            guessing.learn([(1, judged)], right)
        for draft in drafts[:left]:
            draft.see(99)
        found = [len(offer) for offer in guessing.offers(drafts, [40] * rows)]
        return found[-1], found[0]

    assert depths(1) > depths(8) > depths(32)
    assert depths(8, 0, "draft", 90, 1) > depths(8) > depths(8, 0, "draft", 90, 0)
    assert depths(8)[0] == depths(8, 4)[0] > depths(8, 4)[1] > 0
    assert depths(8, 4, "place", 90, 0) == (depths(8)[0], 0)
    assert Guessing().offers([Draft()], [0]) == [[]]
