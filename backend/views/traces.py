"""Traces for a reader: which runs and rows have them, and one of them token by token."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from backend.errors import ConfigError, ModelError, NotFound
from backend.jobs.documents import Document
from backend.settings import Settings
from backend.text.prompt_difference import prompt_difference
from backend.text.tokenizer import TextTokenizer
from backend.views.tokenizers import tokenizer_on_disk
from backend.views.trace_words import most_divergent
from storage.database import Database
from storage.models import Run, Trace
from storage.run_heads import run_heads
from storage.runs import Runs
from storage.tasks import Tasks
from storage.traces import Arrays, Traces

SORTS: Final[Mapping[str, Callable[[Trace], Any]]] = {
    "divergence": lambda trace: -_number(trace.mean_divergence),
    "order": lambda trace: (trace.kind != "watched", trace.position),
    "length": lambda trace: -trace.tokens,
}
SHOWN: Final = ("all", "watched", "sampled")
_LABEL_LETTERS: Final = 160
_LISTED: Final = 60
_IDS: Final = ("token_ids_T", "student_top_ids_T5", "teacher_top_ids_T5")


def traced_runs(database: Database) -> list[Document]:
    """The newest runs that have traces, newest first."""
    heads = run_heads(database, Trace, limit=_LISTED)
    counts = Traces(database).traced_steps([head.id for head in heads])
    return [
        {"id": head.id, "name": head.name, "method": head.method, "state": head.state,
         "task": head.task, "created_at": head.created_at.isoformat(), "steps": counts[head.id]}
        for head in heads
    ]  # fmt: skip


def trace_index(
    database: Database,
    run_id: str,
    step: int | None = None,
    trace_id: str | None = None,
    sort: str = "divergence",
    show: str = "all",
    find: str = "",
) -> Document:
    """The traces of one step, without tokens, and which of them to show (``chosen``).

    Only those with ``find`` in their prompt or completion, in letters of either size. ``step``
    defaults to that of ``trace_id``, or to the last; a trace of another step stands for its row, so
    that one prompt can be followed over the steps. Raises NotFound and ConfigError.
    """
    run, steps = _traced(database, run_id)
    wanted = _of_run(database, run, trace_id) if trace_id else None
    if step is None:
        step = wanted.step if wanted else steps[-1]
    if step not in steps:
        raise NotFound(
            f"{run.name} has no traces of step {step}",
            where="step",
            remedy=f"traced steps: {', '.join(map(str, steps))}",
        )
    for name, value, known in (("sort", sort, (*SORTS,)), ("show", show, SHOWN)):
        if value not in known:
            raise ConfigError(
                f'"{value}" is no choice', where=name, remedy=f"choose one of {', '.join(known)}"
            )
    every = Traces(database).of_run(run.id, step)
    prompts = _prompts(database, run, every)
    listed = sorted(
        (t for t in every if show in ("all", t.kind) and _has(t, prompts, find)), key=SORTS[sort]
    )
    chosen = _same_row(listed, wanted) or next(iter(listed), None)
    return {
        "run": {key: getattr(run, key) for key in ("id", "name", "method", "state")},
        "steps": steps,
        "step": step,
        "sort": sort,
        "show": show,
        "find": find,
        "kinds": {kind: sum(t.kind == kind for t in every) for kind in SHOWN[1:]},
        "has_teacher": any(t.teacher_prompt is not None for t in every),
        "chosen": chosen.id if chosen else None,
        "traces": [_line(trace, prompts) for trace in listed],
    }


def trace_tokens(database: Database, settings: Settings, trace_id: str) -> Document:
    """One trace as parallel arrays: ``texts`` holds each piece once, all else points into it.

    Log-probabilities and entropies are in nats at temperature 1; what is not finite is None.
    Raises NotFound.
    """
    trace = Traces(database).get(trace_id)
    run = Runs(database).get(trace.run_id) if trace else None
    if trace is None or run is None:
        raise NotFound(
            f'there is no trace "{trace_id}"', where="trace", remedy="choose one of the list"
        )
    arrays = Traces(database).tokens(trace_id) or {}
    texts, places = _pieces(arrays, _tokenizer(run, settings))
    student, teacher = prompt_difference(trace.student_prompt, trace.teacher_prompt or "")
    document: Document = {
        **{key: getattr(trace, key) for key in _PLAIN},
        "divergence_kind": run.config.get("divergence", {}).get("kind", "nll"),
        "uncounted": {
            key: run.config.get("token_weights", {}).get(key, 0)
            for key in ("skip_first", "stop_below")
        },
        "prompts": {
            "student": student if trace.teacher_prompt else [(trace.student_prompt, False)],
            "teacher": teacher if trace.teacher_prompt else None,
        },
        "texts": texts,
        "tokens": places.get("token_ids_T", []),
        "weights": _numbers(arrays.get("weights_T")),
        "divergences": _numbers(arrays.get("divergence_T")),
        "roles": {role: _role(arrays, places, role) for role in ("student", "teacher")},
    }
    return document | {"sentence": most_divergent(document)}


_PLAIN: Final = (
    "id", "run_id", "step", "kind", "source", "demonstration_id", "completion", "demonstration",
    "teacher_answer", "base_answer", "mean_divergence",
)  # fmt: skip


def _traced(database: Database, run_id: str) -> tuple[Run, list[int]]:
    # Or the beginning of an id, as commands print it.
    found = [run for run in Runs(database).find(run_id) if run.id.startswith(run_id)]
    if len(found) != 1:
        raise NotFound(f'there is no run "{run_id}"', where="run", remedy="choose one of the list")
    run = found[0]
    steps = Traces(database).steps(run.id)
    if not steps:
        raise NotFound(
            f"{run.name} has no traces yet",
            where="run",
            remedy="the first come before the first step, unless traces.every is 0",
        )
    return run, steps


def _of_run(database: Database, run: Run, trace_id: str) -> Trace:
    trace = Traces(database).get(trace_id)
    if trace is None or trace.run_id != run.id:
        raise NotFound(
            f'{run.name} has no trace "{trace_id}"', where="trace", remedy="choose one of the list"
        )
    return trace


def _same_row(listed: list[Trace], wanted: Trace | None) -> Trace | None:
    """The trace of ``wanted``'s row; of two rollouts of it, the one at the same place."""
    if wanted is None:
        return None
    same = [
        t for t in listed
        if (t.kind, t.demonstration_id) == (wanted.kind, wanted.demonstration_id)
    ]  # fmt: skip
    return min(same, key=lambda t: t.position != wanted.position, default=None)


def _has(trace: Trace, prompts: Mapping[str, str], text: str) -> bool:
    read = prompts.get(trace.demonstration_id, trace.student_prompt)
    return not text or any(text.casefold() in each.casefold() for each in (read, trace.completion))


def _line(trace: Trace, prompts: Mapping[str, str]) -> Document:
    prompt = prompts.get(trace.demonstration_id, trace.student_prompt)
    return {
        "id": trace.id,
        "kind": trace.kind,
        "source": trace.source,
        "row": trace.demonstration_id,
        "prompt": prompt[:_LABEL_LETTERS],
        "completion": trace.completion[:_LABEL_LETTERS],
        "tokens": trace.tokens,
        "divergence": None if trace.mean_divergence is None else _finite(trace.mean_divergence),
    }


def _prompts(database: Database, run: Run, traces: list[Trace]) -> dict[str, str]:
    """The rows' last turns; rendered prompts all begin alike, so they tell rows apart badly."""
    if run.task_version_id is None:
        return {}
    names = {trace.demonstration_id for trace in traces}
    rows = Tasks(database).rows_named(run.task_version_id, names)
    return {name: str(row["messages"][-1]["content"]) for name, row in rows.items()}


def _tokenizer(run: Run, settings: Settings) -> TextTokenizer | None:
    """None where the model is gone: its traces still have their numbers."""
    try:
        return tokenizer_on_disk(run.model, settings)
    except ModelError:
        return None


def _pieces(
    arrays: Mapping[str, npt.NDArray[Any]], tokenizer: TextTokenizer | None
) -> tuple[list[str], dict[str, list[int]]]:
    """The texts of all tokens that occur, and for each array of ids their places among them."""
    present = [name for name in _IDS if name in arrays]
    if not present:
        return [], {}
    flat = [arrays[name].ravel() for name in present]
    ids, places = np.unique(np.concatenate(flat), return_inverse=True)
    ends = np.cumsum([len(each) for each in flat])[:-1]
    known = [int(token_id) for token_id in ids]
    texts = tokenizer.token_strings(known) if tokenizer else [f"<id {each}>" for each in known]
    parts = np.split(places.ravel(), ends)
    return texts, {name: part.tolist() for name, part in zip(present, parts, strict=True)}


def _role(arrays: Arrays, places: Mapping[str, list[int]], role: str) -> Document | None:
    """What one role thought: ``top`` and ``top_logprobs`` hold five entries a token, in a row."""
    if f"{role}_logprobs_T" not in arrays:
        return None
    return {
        "logprobs": _numbers(arrays[f"{role}_logprobs_T"]),
        "entropy": _numbers(arrays[f"{role}_entropy_T"]),
        "top": places[f"{role}_top_ids_T5"],
        "top_logprobs": _numbers(arrays[f"{role}_top_logprobs_T5"]),
        "width": int(arrays[f"{role}_top_ids_T5"].shape[1]),
    }


def _numbers(values: npt.NDArray[Any] | None) -> list[float | None]:
    if values is None:
        return []
    return [_finite(value) for value in values.astype(float).ravel().tolist()]


def _finite(value: float) -> float | None:
    """Four digits are more than a page shows, and a fifth of the bytes."""
    return float(f"{value:.4g}") if math.isfinite(value) else None


def _number(value: float | None) -> float:
    return value if value is not None and math.isfinite(value) else -math.inf
