"""Traces as plain documents: what both roles read, and what they thought of every token."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from backend.errors import NotFound
from backend.jobs.documents import Document
from backend.models.on_disk import folder_on_disk
from backend.settings import Settings
from backend.text.tokenizer import TextTokenizer
from storage.database import Database
from storage.models import Run, Trace
from storage.traces import Traces

Arrays = Mapping[str, npt.NDArray[Any]]


def trace_documents(
    database: Database, settings: Settings, run: Run, step: int | None = None
) -> list[Document]:
    """A run's traces of ``step`` (default: the last traced one), watched prompts first.

    Raises NotFound where the run has none of that step, naming those it has.
    """
    traces = Traces(database)
    steps = traces.steps(run.id)
    if not steps or (step is not None and step not in steps):
        known = ", ".join(map(str, steps)) or "none"
        raise NotFound(
            f"{run.name} has no traces of step {step if step is not None else 'any'}",
            where="step",
            remedy=f"traced steps: {known}",
        )
    folder = folder_on_disk(run.model, settings.home)
    tokenizer = TextTokenizer(folder) if folder else None
    found = traces.of_run(run.id, steps[-1] if step is None else step)
    found.sort(key=lambda trace: (trace.kind != "watched", trace.position))
    return [_document(trace, traces.tokens(trace.id) or {}, tokenizer) for trace in found]


def _document(trace: Trace, arrays: Arrays, tokenizer: TextTokenizer | None) -> Document:
    return {
        "id": trace.id,
        "step": trace.step,
        "kind": trace.kind,
        "demonstration_id": trace.demonstration_id,
        "source": trace.source,
        "student_prompt": trace.student_prompt,
        "teacher_prompt": trace.teacher_prompt,
        "completion": trace.completion,
        "demonstration": trace.demonstration,
        "teacher_answer": trace.teacher_answer,
        "base_answer": trace.base_answer,
        "mean_divergence": trace.mean_divergence,
        "tokens": [_token(arrays, i, tokenizer) for i in range(trace.tokens)],
    }


def _token(arrays: Arrays, i: int, tokenizer: TextTokenizer | None) -> Document:
    token_id = int(arrays["token_ids_T"][i])
    return {
        "id": token_id,
        "text": _text(token_id, tokenizer),
        "weight": float(arrays["weights_T"][i]),
        "divergence": float(arrays["divergence_T"][i]),
        "student": _side(arrays, "student", i, tokenizer),
        "teacher": _side(arrays, "teacher", i, tokenizer),
    }


def _side(arrays: Arrays, role: str, i: int, tokenizer: TextTokenizer | None) -> Document | None:
    """One role's probability of the token, its entropy in nats, and its five likeliest tokens."""
    if f"{role}_logprobs_T" not in arrays:
        return None
    ids = arrays[f"{role}_top_ids_T5"][i]
    logprobs = arrays[f"{role}_top_logprobs_T5"][i]
    return {
        "probability": math.exp(float(arrays[f"{role}_logprobs_T"][i])),
        "entropy": float(arrays[f"{role}_entropy_T"][i]),
        "top": [
            {"text": _text(int(token_id), tokenizer), "probability": float(np.exp(logprob))}
            for token_id, logprob in zip(ids, logprobs, strict=True)
        ],
    }


def _text(token_id: int, tokenizer: TextTokenizer | None) -> str:
    return tokenizer.token_strings([token_id])[0] if tokenizer else f"<id {token_id}>"
