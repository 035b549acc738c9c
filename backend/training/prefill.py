"""Reading prompts, and completions after them: what several have in common is read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from transformers import DynamicCache

from backend.models.language_model import LanguageModel
from backend.text.beginnings import common_beginning
from backend.training.cache import empty_cache, sees_all
from backend.training.packing import Batch, left_pad, pack, positions
from backend.training.tree import LONGEST, Tree, can_mask, read_tree, tree_of
from backend.training.written import Written

# A shorter beginning costs more as a pass of its own than it spares.
_WORTH_SHARING: Final = 8


@dataclass(frozen=True)
class Prefilled:
    """B prompts as a model has read them, and what is offered after them: P tokens with padding.

    Hidden states are those of each prompt's last token, then of those offered, row by row. Where
    all were read in one pass without padding, ``paths`` are the places of each row's tokens in it.
    """

    hidden_NH: Tensor
    cache: DynamicCache
    mask_BP: Tensor
    paths: Sequence[Sequence[int]] | None = None

    @property
    def next_positions_B1(self) -> Tensor:
        """The position of each row's next token."""
        return self.mask_BP.sum(1, keepdim=True)


def prefill(
    model: LanguageModel, prompts: Sequence[Sequence[int]], offers: Sequence[Sequence[int]] = ()
) -> Prefilled:
    """Hidden states at the end of each prompt, and the cache to go on from.

    ``offers`` are tokens that may follow each prompt, padded at the right. None may be given where
    a window slides: it would count padding.
    """
    device, pad_id = model.compute.device, model.tokenizer.pad_id
    offers = offers or [()] * len(prompts)
    cache = empty_cache(model.network.config)
    # Padding comes to lie behind the beginning: a sliding window would count it.
    shared = common_beginning(prompts) if sees_all(cache) else 0
    if shared < _WORTH_SHARING:
        shared = 0
    else:
        read_on(model, *left_pad([prompts[0][:shared]], pad_id, device), cache)
        cache.batch_select_indices(torch.zeros(len(prompts), dtype=torch.long, device=device))
    rests = [prompt[shared:] for prompt in prompts]
    rows = pack(rests, offers, pad_id, device) if any(offers) else None
    if rows is None:
        ids_BP, mask_BP, _ = left_pad(rests, pad_id, device)
    else:
        ids_BP, mask_BP = rows.input_ids_BL, rows.attention_mask_BL
    whole_BP = torch.cat([mask_BP.new_ones(len(prompts), shared), mask_BP], 1)
    hidden_BPH = read_on(model, ids_BP, whole_BP, positions(whole_BP)[:, shared:], cache)
    if rows is None:
        return Prefilled(hidden_BPH[:, -1], cache, whole_BP)
    last = max(map(len, rests)) - 1
    return Prefilled(hidden_BPH[:, last:][mask_BP[:, last:].bool()], cache, whole_BP)


def read_on(
    model: LanguageModel,
    ids_BL: Tensor,
    mask_BP: Tensor,
    positions_BL: Tensor,
    cache: DynamicCache,
) -> Tensor:
    """Hidden states [B, L, H] of tokens that follow on what the cache holds, which it then has too.

    The mask is of all P tokens, those of the cache first.
    """
    found: Tensor = model.backbone(
        input_ids=ids_BL,
        attention_mask=mask_BP,
        position_ids=positions_BL,
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state
    return found


def completion_hidden(model: LanguageModel, batch: Batch, written: Written | None = None) -> Tensor:
    """Hidden states [N, H] from which the N completion tokens are predicted.

    A prompt of several rows, and what all prompts begin with, is read once. Gradients are those of
    plain passes: what is shared gets the sum of what its readers ask for. Nothing is read where the
    weights that are in place have ``written`` the batch and its activations were kept; these are
    used up then.
    """
    flat, reader = model.flat(), None if torch.is_grad_enabled() else model.reader()
    if flat is not None or reader is not None:
        tree, device = tree_of_batch(batch), model.compute.device
        places_N = torch.tensor(tree.predicting, dtype=torch.long, device=device)
        kept = None if written is None else written.kept(batch, tree)
        if flat is None:
            assert reader is not None
            return reader.read_flat(tree.flat(device))[places_N]
        if kept is None:
            return flat.read(tree.flat(device), places_N)
        return flat.read_before(tree.flat(device), places_N, *kept)
    distinct = list(dict.fromkeys(map(tuple, batch.prompts)))
    beginning = common_beginning(distinct)
    sees_whole_rows = sees_all(empty_cache(model.network.config))
    if sees_whole_rows and can_mask(model):
        tree = tree_of(batch, distinct, beginning)
        if len(tree.ids) <= LONGEST:
            return read_tree(model, tree)
    is_shared = len(distinct) < len(batch) or beginning >= _WORTH_SHARING
    if is_shared and sees_whole_rows:
        places = {prompt: place for place, prompt in enumerate(distinct)}
        owners = [places[tuple(prompt)] for prompt in batch.prompts]
        hidden_BTH = hidden_after(
            model, distinct, owners, batch.completion_ids_BT, batch.completion_mask_BT
        )
        return hidden_BTH[batch.completion_mask_BT]
    hidden_BLH = model.backbone(
        input_ids=batch.input_ids_BL,
        attention_mask=batch.attention_mask_BL,
        position_ids=batch.position_ids_BL,
        use_cache=False,
    ).last_hidden_state
    length = batch.completion_ids_BT.shape[1]
    predicting_BTH = hidden_BLH[:, -length - 1 : -1]
    selected: Tensor = predicting_BTH[batch.completion_mask_BT]
    return selected


def tree_of_batch(batch: Batch) -> Tree:
    """The batch's rows as one sequence, which begins with what all prompts do if that pays."""
    distinct = list(dict.fromkeys(map(tuple, batch.prompts)))
    beginning = common_beginning(distinct)
    return tree_of(batch, distinct, beginning if beginning >= _WORTH_SHARING else 0)


def hidden_after(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    owners: Sequence[int],
    ids_CT: Tensor,
    mask_CT: Tensor,
) -> Tensor:
    """Hidden states [C, T, H] that predict the tokens of C completions, each after its prompt.

    ``owners`` are the places of their prompts. Completions are padded at the right.
    """
    read = prefill(model, prompts)
    owner_C = torch.tensor(owners, device=ids_CT.device)
    last_C1H = read.hidden_NH[owner_C, None]
    length = ids_CT.shape[1]
    if length == 1:
        return last_C1H
    read.cache.batch_select_indices(owner_C)
    # Nothing is predicted from a completion's last token.
    before_last = torch.arange(length - 1, device=ids_CT.device)
    mask_CP = read.mask_BP[owner_C]
    following_CTH = read_on(
        model,
        ids_CT[:, :-1],
        torch.cat([mask_CP, mask_CT[:, :-1].to(mask_CP.dtype)], 1),
        read.next_positions_B1[owner_C] + before_last,
        read.cache,
    )
    return torch.cat([last_C1H, following_CTH], 1)
