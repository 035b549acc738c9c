"""Reading prompts to write on from them, together with the first tokens that are offered."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from backend.models.language_model import LanguageModel
from backend.text.beginnings import common_beginning
from backend.training.cache import deal, empty_cache, sees_all
from backend.training.packing import pack
from backend.training.prefill import Prefilled, prefill
from backend.training.tree import LONGEST, can_mask, tree_inputs, tree_of


def open_rows(
    model: LanguageModel, prompts: Sequence[Sequence[int]], offers: Sequence[Sequence[int]]
) -> Prefilled:
    """As :func:`prefill`, but in one pass without padding if that pays.

    What all prompts begin with, and a prompt of several rows, is read once. Networks that need a
    mask between all tokens read so what is short.
    """
    cache, reader = empty_cache(model.network.config), model.reader()
    distinct = list(dict.fromkeys(map(tuple, prompts)))
    has_no_tree = len(prompts) == 1 or not sees_all(cache) or not can_mask(model)
    if reader is None and has_no_tree:
        return prefill(model, prompts, offers)
    # A completion's last token is left out of a tree.
    pad_id, device = model.tokenizer.pad_id, model.compute.device
    batch = pack(prompts, [[*offer, pad_id] for offer in offers], pad_id, device)
    tree = tree_of(batch, distinct, common_beginning(distinct))
    if reader is not None:
        hidden_NH = reader.read_flat(tree.flat(device), cache)
    elif len(tree.ids) > LONGEST:
        return prefill(model, prompts, offers)
    else:
        inputs = tree_inputs(model, tree)
        read = model.backbone(**inputs, past_key_values=cache, use_cache=True)
        hidden_NH = read.last_hidden_state[0]
    places, reals = _rows(tree.paths, prompts, offers)
    deal(cache, torch.tensor(places, device=device))
    predicting_N = torch.tensor(tree.predicting, device=device)
    return Prefilled(hidden_NH[predicting_N], cache, torch.tensor(reals, device=device), tree.paths)


def _rows(
    paths: Sequence[Sequence[int]],
    prompts: Sequence[Sequence[int]],
    offers: Sequence[Sequence[int]],
) -> tuple[list[list[int]], list[list[int]]]:
    """Of each row the tree's places, padded left of the prompt and right of the offer; a mask."""
    before, behind = max(map(len, prompts)), max(map(len, offers))
    places, reals = [], []
    for path, prompt, offer in zip(paths, prompts, offers, strict=True):
        left, right = before - len(prompt), behind - len(offer)
        places.append([0] * left + [*path] + [0] * right)
        reals.append([0] * left + [1] * len(path) + [0] * right)
    return places, reals
