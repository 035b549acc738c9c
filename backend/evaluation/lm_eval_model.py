"""lm-eval's model of what is in memory: its own but for likelihoods, which the lab computes."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Sequence
from typing import Any, Final

from transformers import AutoTokenizer

from backend.evaluation.continuations import Question, likelihoods
from backend.models.language_model import LanguageModel

log = logging.getLogger(__name__)

# Of answers that lm-eval writes.
BATCH_ROWS: Final = 16
# What lm-eval asks: the texts, and the token ids of context and continuation.
Request = tuple[Any, list[int], list[int]]


def lm_eval_model(model: LanguageModel) -> Any:
    """An ``HFLM`` over the network with whatever weights are in place.

    lm-eval is an extra, and takes seconds to import: its class is known only here.
    """
    hugging_face: Any = importlib.import_module("lm_eval.models.huggingface")

    class LabModel(hugging_face.HFLM):  # type: ignore[misc]
        def _loglikelihood_tokens(
            self, requests: Sequence[Request], **_: Any
        ) -> list[tuple[float, bool]]:
            return scores(model, requests)

    return LabModel(
        pretrained=model.network,
        tokenizer=AutoTokenizer.from_pretrained(model.tokenizer.folder),
        backend="causal",
        max_length=model.context_length,
        batch_size=BATCH_ROWS,
    )


def scores(model: LanguageModel, requests: Sequence[Request]) -> list[tuple[float, bool]]:
    """Of each request the continuation's log-probability, and whether it is the greedy answer.

    What is longer than the model can read loses its beginning, as HFLM has it: the last token is
    not read, so that one more fits.
    """
    longest = model.context_length + 1
    contexts: dict[tuple[int, ...], list[int]] = {}
    for place, (_, context, continuation) in enumerate(requests):
        kept = (context + continuation)[-longest:]
        contexts.setdefault(tuple(kept[: len(kept) - len(continuation)]), []).append(place)
    cut = sum(len(context) + len(ids) > longest for _, context, ids in requests)
    if cut:
        log.warning("%d of %d contexts are too long, and lose their beginning", cut, len(requests))
    questions = [
        Question(context, [requests[place][2] for place in places])
        for context, places in contexts.items()
    ]
    found: dict[int, tuple[float, bool]] = {}
    for places, of_one in zip(contexts.values(), likelihoods(model, questions), strict=True):
        found |= {
            place: (each.logprob, each.is_greedy)
            for place, each in zip(places, of_one, strict=True)
        }
    return [found[place] for place in range(len(requests))]
