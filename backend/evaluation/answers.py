"""Greedy answers to many prompts."""

from __future__ import annotations

from collections.abc import Sequence

from backend.evaluation.batches import batches
from backend.models.language_model import LanguageModel
from backend.training.generation import Sampling, generate


def answer(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    wanted: Sequence[Sequence[int]] = (),
) -> list[str]:
    """Greedy answers, in batches of prompts of like length.

    Answers like the ``wanted`` ones are written sooner, and are the same without these.
    """
    texts = [""] * len(prompts)
    sampling = Sampling(max_new_tokens)
    with model.merged():
        for chosen in batches([len(prompt) for prompt in prompts]):
            drafts = [wanted[i] for i in chosen] if wanted else ()
            written = generate(model, [prompts[i] for i in chosen], sampling, drafts=drafts)
            for i, ids in zip(chosen, written, strict=True):
                texts[i] = model.tokenizer.decode(ids)
    return texts
