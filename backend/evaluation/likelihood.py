"""How likely a model finds given answers to questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backend.data.demonstration import Message
from backend.evaluation.continuations import Question, likelihoods
from backend.models.language_model import LanguageModel


def choice_logprobs(model: LanguageModel, rows: Sequence[Mapping[str, Any]]) -> list[list[float]]:
    """Mean log-probability a token, in nats, of every choice of every row, ended as an answer."""
    tokenizer = model.tokenizer
    questions = [
        Question(
            tokenizer.prompt_ids([Message(role="user", content=row["question"])]),
            [[*tokenizer.encode(choice), tokenizer.end_id] for choice in row["choices"]],
        )
        for row in rows
    ]
    return [
        [each.logprob / len(ids) for each, ids in zip(found, question.continuations, strict=True)]
        for found, question in zip(likelihoods(model, questions), questions, strict=True)
    ]
