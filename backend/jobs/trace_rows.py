"""A trace as the traces table keeps it."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from backend.training.recorder import TokenTrace, Trace
from storage import models
from storage.traces import pack, trace_id


def trace_row(run_id: str, trace: Trace, position: int) -> models.Trace:
    """The row, with its arrays packed, at this place among the traces of its step and kind."""
    tokens = trace.tokens
    blob = pack({part.name: getattr(tokens, part.name) for part in fields(TokenTrace)})
    texts = {
        "student_prompt": trace.student_prompt,
        "teacher_prompt": trace.teacher_prompt,
        "completion": trace.completion,
        "demonstration": trace.demonstration,
        "teacher_answer": trace.teacher_answer,
        "base_answer": trace.base_answer,
    }
    count = int(tokens.token_ids_T.size)
    return models.Trace(
        id=trace_id(run_id, trace.step, trace.kind, position),
        run_id=run_id,
        step=trace.step,
        kind=trace.kind,
        position=position,
        demonstration_id=trace.demonstration_id,
        source=trace.source,
        tokens=count,
        mean_divergence=float(np.mean(tokens.divergence_T)) if count else None,
        bytes=len(blob) + sum(len(text.encode()) for text in texts.values() if text),
        blob=blob,
        **texts,
    )
