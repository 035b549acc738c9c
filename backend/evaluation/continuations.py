"""How likely continuations of contexts are: each context is read once, with all that may follow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import torch
from torch import Tensor
from transformers import DynamicCache

from backend.evaluation.batches import BATCH_TOKENS, batches
from backend.evaluation.branches import Branches, branches, side_by_side
from backend.models.language_model import LanguageModel
from backend.models.llama import added_to_scores
from backend.text.beginnings import common_beginning
from backend.training.cache import empty_cache, sees_all
from backend.training.divergence import CHUNK_TOKENS
from backend.training.packing import left_pad, pack
from backend.training.prefill import hidden_after, read_on
from backend.training.tree import can_mask

# Tokens read at once on a CPU, where more were slower.
CPU_TOKENS: Final = 512
# Attention in branches is between all tokens of a row; a longer row is read without.
LONGEST_ROW: Final = 2048
# A pass of its own, and batches of fewer rows, cost what reading so many tokens does.
_PASS_TOKENS: Final = 64
# So many tokens tell whether contexts go on alike.
_GLANCE: Final = 8


@dataclass(frozen=True)
class Question:
    """A context of at least one token, and at least one text that may follow it, as token ids."""

    context: Sequence[int]
    continuations: Sequence[Sequence[int]]


@dataclass(frozen=True)
class Likelihood:
    """A continuation's log-probability in nats, and whether each token is the likeliest one."""

    logprob: float
    is_greedy: bool


@torch.no_grad()
def likelihoods(model: LanguageModel, questions: Sequence[Question]) -> list[list[Likelihood]]:
    """The likelihood of every continuation of every question."""
    found: dict[int, list[Likelihood]] = {}
    can_branch = sees_all(empty_cache(model.network.config)) and can_mask(model)
    tokens = CPU_TOKENS if model.compute.device.type == "cpu" else BATCH_TOKENS
    everything = list(range(len(questions)))
    contexts = [question.context for question in questions]
    groups = _alike(contexts, everything) if can_branch else [(everything, 0)] * bool(questions)
    for places, shared in groups:
        beginning = _read_beginning(model, contexts[places[0]][:shared])
        rows = [branches(questions[i].context, questions[i].continuations, shared) for i in places]
        # Each row has a copy of the beginning's keys and values.
        most_rows = max(1, BATCH_TOKENS // max(1, shared))
        for chosen in batches([len(row.ids) for row in rows], most_rows, tokens):
            asked = [questions[places[i]] for i in chosen]
            together = [rows[i] for i in chosen]
            if can_branch and (_is_line(together) or len(together[-1].ids) <= LONGEST_ROW):
                hidden_NH, which_M = _in_branches(model, together, beginning)
            else:
                hidden_NH, which_M = _apart(model, asked)
            scored = _likelihoods(model, asked, hidden_NH, which_M)
            found |= zip((places[i] for i in chosen), scored, strict=True)
    return [found[place] for place in range(len(questions))]


def _alike(
    contexts: Sequence[Sequence[int]], places: Sequence[int], shared: int = 0
) -> Iterator[tuple[list[int], int]]:
    """The places of contexts to read together, and how many tokens these begin with.

    All of ``places`` begin with ``shared`` like tokens; those that go on alike are told apart from
    the others where that spares more than it costs.
    """
    going_on: dict[tuple[int, ...], list[int]] = {}
    for place in places:
        going_on.setdefault(tuple(contexts[place][shared : shared + _GLANCE]), []).append(place)
    others = []
    for together in going_on.values():
        reached = common_beginning([contexts[place] for place in together])
        if (len(together) - 1) * (reached - shared) - reached >= _PASS_TOKENS:
            yield from _alike(contexts, together, reached)
        else:
            others += together
    if others:
        yield others, shared


def _read_beginning(model: LanguageModel, ids: Sequence[int]) -> DynamicCache | None:
    if not ids:
        return None
    cache = empty_cache(model.network.config)
    read_on(model, *left_pad([ids], model.tokenizer.pad_id, model.compute.device), cache)
    return cache


def _is_line(rows: Sequence[Branches]) -> bool:
    """Whether this is one row without branches, which is read without a mask."""
    return len(rows) == 1 and rows[0].is_line


def _in_branches(
    model: LanguageModel, rows: Sequence[Branches], beginning: DynamicCache | None
) -> tuple[Tensor, Tensor]:
    """Hidden states [N, H], and which of them [M] predicts each token of the continuations."""
    device = model.compute.device
    ids_BL, positions_BL, sees_BLL = side_by_side(rows, model.tokenizer.pad_id, device)
    cache = None if beginning is None else _repeated(model, beginning, len(rows))
    bias = None
    if not _is_line(rows):
        read = 0 if cache is None else cache.get_seq_length()
        sees_BLP = torch.cat([sees_BLL.new_ones(*ids_BL.shape, read), sees_BLL], 2)
        dtype = model.network.get_input_embeddings().weight.dtype
        bias = added_to_scores(sees_BLP, dtype)[:, None]
    hidden_BLH = model.backbone(
        input_ids=ids_BL,
        attention_mask=bias,
        position_ids=positions_BL,
        past_key_values=cache,
        use_cache=cache is not None,
    ).last_hidden_state
    length = ids_BL.shape[1]
    places = [
        number * length + place
        for number, row in enumerate(rows)
        for path in row.predicting
        for place in path
    ]
    # Continuations share their first token's, at least.
    distinct_N, which_M = torch.unique(
        torch.tensor(places, dtype=torch.long, device=device), return_inverse=True
    )
    return hidden_BLH.flatten(0, 1)[distinct_N], which_M


def _repeated(model: LanguageModel, beginning: DynamicCache, rows: int) -> DynamicCache:
    """What was read, for so many rows to go on from."""
    cache = empty_cache(model.network.config)
    for place, layer in enumerate(beginning.layers):
        cache.update(*(x.expand(rows, -1, -1, -1) for x in (layer.keys, layer.values)), place)
    return cache


def _apart(model: LanguageModel, questions: Sequence[Question]) -> tuple[Tensor, Tensor]:
    """As :func:`_in_branches`, for what cannot read these: each continuation is a row, then."""
    flat = [ids for question in questions for ids in question.continuations]
    owners = [i for i, question in enumerate(questions) for _ in question.continuations]
    contexts = [question.context for question in questions]
    tokenizer, device = model.tokenizer, model.compute.device
    batch = pack([contexts[owner] for owner in owners], flat, tokenizer.pad_id, device)
    hidden_CTH = hidden_after(
        model, contexts, owners, batch.completion_ids_BT, batch.completion_mask_BT
    )
    hidden_MH = hidden_CTH[batch.completion_mask_BT]
    return hidden_MH, torch.arange(len(hidden_MH), device=device)


def _likelihoods(
    model: LanguageModel, questions: Sequence[Question], hidden_NH: Tensor, which_M: Tensor
) -> list[list[Likelihood]]:
    tokens = [token for each in questions for ids in each.continuations for token in ids]
    token_M = torch.tensor(tokens, dtype=torch.long, device=which_M.device)
    logprob_M = torch.zeros(len(tokens), device=which_M.device)
    is_best_M = torch.ones_like(token_M, dtype=torch.bool)
    for start in range(0, len(hidden_NH), CHUNK_TOKENS):
        with model.compute.autocast():
            logits_NV = model.head(hidden_NH[start : start + CHUNK_TOKENS])
        here_M = (which_M >= start) & (which_M < start + CHUNK_TOKENS)
        row, token = which_M[here_M] - start, token_M[here_M]
        logprob_M[here_M] = logits_NV.log_softmax(-1)[row, token]
        is_best_M[here_M] = logits_NV.argmax(-1)[row] == token
    values = zip(logprob_M.tolist(), is_best_M.tolist(), strict=True)
    return [
        [_likelihood(list(islice(values, len(ids)))) for ids in question.continuations]
        for question in questions
    ]


def _likelihood(tokens: Sequence[tuple[float, bool]]) -> Likelihood:
    return Likelihood(sum(value for value, _ in tokens), all(is_best for _, is_best in tokens))
