"""Continuations are as likely as plain passes say, whatever is read once for several of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.evaluation.batches import BATCH_TOKENS
from backend.evaluation.branches import branches
from backend.evaluation.continuations import (
    CPU_TOKENS,
    LONGEST_ROW,
    Likelihood,
    Question,
    likelihoods,
)
from backend.models.language_model import LanguageModel
from tests.tiny_model import build_model, load_tiny

IDS = st.integers(3, 40)
# Few tokens to choose from, so that continuations begin alike, or are the same.
CONTINUATIONS = st.lists(st.lists(st.integers(3, 5), max_size=5), min_size=1, max_size=5)


@pytest.fixture(scope="module", params=["llama", "gpt2", "gemma2"])
def model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> LanguageModel:
    return load_tiny(build_model(tmp_path_factory.mktemp(request.param), family=request.param))


def plain(model: LanguageModel, context: list[int], continuation: list[int]) -> Likelihood:
    """By one pass of transformers alone."""
    with torch.no_grad():
        logits = model.network(input_ids=torch.tensor([[*context, *continuation]])).logits[0]
    seen = logits[len(context) - 1 : -1].double()
    asked = torch.tensor(continuation, dtype=torch.long)
    logprobs = seen.log_softmax(-1).gather(-1, asked[:, None])
    return Likelihood(float(logprobs.sum()), bool((seen.argmax(-1) == asked).all()))


def assert_plain(model: LanguageModel, questions: list[Question]) -> None:
    found = likelihoods(model, questions)
    assert len(found) == len(questions)
    for question, values in zip(questions, found, strict=True):
        assert len(values) == len(question.continuations)
        for ids, value in zip(question.continuations, values, strict=True):
            expected = plain(model, list(question.context), list(ids))
            assert value.logprob == pytest.approx(expected.logprob, abs=1e-4, rel=1e-6)
            assert value.is_greedy == expected.is_greedy


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.lists(IDS, min_size=1, max_size=12), CONTINUATIONS), max_size=6))
def test_any_questions(
    model: LanguageModel, drawn: list[tuple[list[int], list[list[int]]]]
) -> None:
    assert_plain(model, [Question(context, following) for context, following in drawn])


def test_beginnings_within_beginnings(model: LanguageModel) -> None:
    """Two subjects with a heading in common, each with an example of its own, and one apart."""
    heading = [7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]
    subjects = [[*heading, *[20 + subject] * 40] for subject in range(2)]
    questions = [
        Question([*subject, *range(3, 4 + number % 5), number + 3], [[5], [5, 6], [7, 8, 9]])
        for number in range(20)
        for subject in subjects
    ]
    assert_plain(model, [*questions, Question([30, 31], [[5], [6]]), questions[3]])


def test_a_beginning_is_read_once_and_goes_with_so_many_rows_as_fit(tiny_folder: Path) -> None:
    model = load_tiny(tiny_folder)
    shapes: list[tuple[int, ...]] = []
    model.network.get_input_embeddings().register_forward_hook(
        lambda _, inputs, __: shapes.append(tuple(inputs[0].shape))
    )
    beginning = [3 + place % 37 for place in range(300)]
    questions = [Question([*beginning, 3 + n % 30, 3 + n // 30], [[5], [6]]) for n in range(100)]
    likelihoods(model, questions)
    most = BATCH_TOKENS // 300
    assert shapes == [(1, 300), (most, 2), (100 - most, 2)]
    assert_plain(model, questions[:3])


def test_more_rows_than_one_batch(model: LanguageModel) -> None:
    contexts = [[3 + n % 30, 4 + n % 7, *[5] * (n % 13)] for n in range(CPU_TOKENS // 8)]
    assert_plain(model, [Question(context, [[6, 7], [8]]) for context in contexts])


def test_the_greedy_answer_is_known_by_every_token(model: LanguageModel) -> None:
    ids = [5, 6, 7]
    for _ in range(3):
        with torch.no_grad():
            ids.append(int(model.network(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    first, second, third = ids[3:]
    other = 3 if third != 3 else 4
    asked = [[first, second, third], [first, second, other], [first], [other, second, third], []]
    (found,) = likelihoods(model, [Question(ids[:3], asked)])
    assert [each.is_greedy for each in found] == [True, False, True, other == first, True]


def test_long_contexts_are_read_without_branches(tiny_folder: Path) -> None:
    """Next to a short one, and alone with the same continuation twice."""
    model = load_tiny(tiny_folder)
    long = [3 + place % 37 for place in range(LONGEST_ROW + 20)]
    assert_plain(model, [Question(long, [[5, 6], [5, 7, 8], [9]]), Question([5], [[6], [7, 8]])])
    assert_plain(model, [Question([5], [long[:-1]])])


def test_rows_are_the_same_alone(model: LanguageModel) -> None:
    questions = [Question([3 + n, *[4] * n], [[5, 6], [7]]) for n in range(8)]
    together = likelihoods(model, questions)
    for question, values in zip(questions, together, strict=True):
        for one, other in zip(likelihoods(model, [question])[0], values, strict=True):
            assert one.logprob == pytest.approx(other.logprob, abs=1e-5)


@given(st.lists(IDS, min_size=1, max_size=6), CONTINUATIONS)
def test_what_continuations_begin_with_stands_once_and_last_tokens_nowhere(
    context: list[int], continuations: list[list[int]]
) -> None:
    row = branches(context, continuations)
    read = {tuple(ids[:end]) for ids in continuations for end in range(1, len(ids))}
    assert len(row.ids) == len(context) + len(read)
    assert [len(path) for path in row.predicting] == [len(ids) for ids in continuations]
    for ids, path in zip(continuations, row.predicting, strict=True):
        assert [row.ids[place] for place in path[1:]] == ids[:-1]
        assert path[:1] == [len(context) - 1] * bool(ids)


@given(st.lists(IDS, min_size=1, max_size=6), CONTINUATIONS)
def test_a_token_sees_the_path_that_leads_to_it(
    context: list[int], continuations: list[list[int]]
) -> None:
    row = branches(context, continuations)
    for path in row.predicting:
        before = [*range(len(context) - 1), *path]
        for place in path:
            seen = [other for other in range(place + 1) if place < row.ends[other]]
            assert seen == before[: before.index(place) + 1]
            assert row.positions[place] == len(seen) - 1
