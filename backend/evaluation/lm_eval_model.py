"""lm-eval's model of what is in memory: its own, but what is read and written is so by the lab."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor
from transformers import AutoTokenizer

from backend.evaluation.batches import batches
from backend.evaluation.continuations import Question, likelihoods
from backend.models.language_model import LanguageModel
from backend.training.generation import Sampling, generate

log = logging.getLogger(__name__)

# Of answers that are written together.
BATCH_ROWS: Final = 32
# So many tokens are written before it is seen who has stopped; then twice as many, and so on.
_FIRST_PIECE: Final = 16
# What lm-eval asks: the texts, and the token ids of context and continuation.
Request = tuple[Any, list[int], list[int]]
_GREEDY_OPTIONS: Final = frozenset({"attention_mask", "do_sample", "temperature"})


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

        def _model_generate(
            self, context: Tensor, max_length: int, stop: list[str], **options: Any
        ) -> Tensor:
            mask_BP = options["attention_mask"]
            is_greedy = not options.get("do_sample") and options.keys() <= _GREEDY_OPTIONS
            if not is_greedy or not mask_BP.any(1).all():
                found: Tensor = super()._model_generate(context, max_length, stop, **options)
                return found
            prompts = [
                ids[mask].tolist() for ids, mask in zip(context, mask_BP.bool(), strict=True)
            ]
            most = max_length - context.shape[1]
            written: list[list[int]] = [[] for _ in prompts]
            for chosen in batches([len(prompt) + most for prompt in prompts]):
                answers = written_until(model, [prompts[i] for i in chosen], most, stop)
                for i, ids in zip(chosen, answers, strict=True):
                    written[i] = ids
            longest, pad_id = max(map(len, written)), self.tokenizer.pad_token_id
            padded = [[*ids, *[pad_id] * (longest - len(ids))] for ids in written]
            return torch.cat([context, torch.tensor(padded, device=context.device)], 1)

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


def written_until(
    model: LanguageModel, prompts: Sequence[list[int]], most: int, stops: Sequence[str]
) -> list[list[int]]:
    """Greedy answers of at most so many tokens; one with a stop in it may go on behind that."""
    written: list[list[int]] = [[] for _ in prompts]
    going, piece = list(range(len(prompts))), _FIRST_PIECE
    while going:
        sampling = Sampling(min(piece, most - len(written[going[0]])))
        pieces = generate(model, [prompts[i] + written[i] for i in going], sampling)
        for i, ids in zip(going, pieces, strict=True):
            written[i] += ids
        going = [i for i in going if not _has_ended(model, written[i], most, stops)]
        piece *= 2
    return written


def _has_ended(model: LanguageModel, ids: Sequence[int], most: int, stops: Sequence[str]) -> bool:
    if len(ids) == most or ids[-1] in model.tokenizer.eos_ids:
        return True
    text = model.tokenizer.decode(ids)
    return any(stop in text for stop in stops if stop)
