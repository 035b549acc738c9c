"""What a person does to a task's rows on its page: edit, write, try a scorer, search for leaks."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Final

import gradio as gr

from app.components.view import QUIET, view
from app.pages.once import Once
from app.pages.task_opened import link_to
from backend.errors import DataError, SdlabError
from backend.lab import Lab

log = logging.getLogger("sdlab.server")

Sent = Mapping[str, Any]
_LONGEST_ANSWER: Final = 200_000
_SHARE_OR_COUNT: Final = re.compile(r"\d{1,9}|[01]?\.\d{1,6}")
_FAILED: Final = (
    "This failed for a reason of the lab's own, which stands in the server's log. Nothing was "
    "stored."
)


def editing(lab: Lab, rows: gr.HTML, searched: gr.HTML, written: gr.HTML) -> None:
    """Joins the views' events to the lab; a view of its own brings the answers back."""
    answers = view("answers", "task-answers")
    once, numbers = Once(), count(1)

    def answer(kind: str, act: Callable[[Lab, Sent], dict[str, Any]], event: gr.EventData) -> Any:
        # The number tells an answer from one before it that says the same.
        return {"kind": kind, "number": next(numbers), **answered(lab, act, event._data)}

    def on_save(event: gr.EventData) -> Any:
        return answer("saved", save_edits, event)

    def on_try(event: gr.EventData) -> Any:
        return answer("tried", try_answer, event)

    def on_write(event: gr.EventData) -> Any:
        return answer("written", write_rows, event)

    def on_search(event: gr.EventData) -> Any:
        def start(lab: Lab, sent: Sent) -> dict[str, Any]:
            return {"run": once(_text(sent, "task"), lambda: start_search(lab, sent))}

        return answer("searched", start, event)

    def on_stop(event: gr.EventData) -> Any:
        return answer("searched", stop_search, event)

    rows.submit(on_save, None, answers, **QUIET)
    rows.apply(on_try, None, answers, **QUIET)
    written.submit(on_write, None, answers, **QUIET)
    searched.submit(on_search, None, answers, **QUIET)
    searched.stop(on_stop, None, answers, **QUIET)


def answered(lab: Lab, act: Callable[[Lab, Sent], dict[str, Any]], sent: Any) -> dict[str, Any]:
    """What ``act`` answers, or the command line's sentence for a mistake, and each faulty row."""
    try:
        return act(lab, sent if isinstance(sent, dict) else {})
    except SdlabError as error:
        report = error.details.get("report") or {}
        return {
            "sentence": str(error),
            "where": error.where,
            "problems": report.get("problems", []),
        }
    except Exception:
        log.exception("an event of the Tasks page failed")
        return {"sentence": _FAILED, "where": "", "problems": []}


def save_edits(lab: Lab, sent: Sent) -> dict[str, Any]:
    """Makes a version of the one that was edited, whichever came since."""
    changes = sent.get("changes")
    if not isinstance(changes, dict) or not any(changes.values()):
        raise DataError(
            "nothing is changed yet", where="rows", remedy="change, leave out or add a row first"
        )
    made = lab.edit_task(_text(sent, "task"), changes)
    return {"go": link_to(made, "edited" if made["is_new"] else "known")}


def write_rows(lab: Lab, sent: Sent) -> dict[str, Any]:
    """Stores rows that were typed in, as a file of them would be."""
    rows = sent.get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        rows = []
    made = lab.write_task(
        _text(sent, "name").strip(),
        rows,
        scorer=_text(sent, "scorer").strip(),
        held_out=_held_out(_text(sent, "held_out")),
    )
    return {"go": link_to(made, "new" if made["is_new"] else "known")}


def try_answer(lab: Lab, sent: Sent) -> dict[str, Any]:
    """Score and reason of an answer to a row, by the task's scorer or another."""
    row, answer = sent.get("row"), _text(sent, "answer")
    if len(answer) > _LONGEST_ANSWER:
        raise DataError(
            f"the answer has {len(answer):,} characters",
            where="answer",
            remedy=f"try one of at most {_LONGEST_ANSWER:,}",
        )
    return {
        "tried": lab.try_scorer(
            _text(sent, "task"),
            row if isinstance(row, int) else 0,
            answer,
            _text(sent, "scorer").strip(),
            _text(sent, "options"),
        )
    }


def start_search(lab: Lab, sent: Sent) -> str:
    """Queues the search for near-duplicates unless one is under way; its id."""
    known = _search(lab, sent)
    if known and known["is_open"]:
        return str(known["id"])
    return lab.start_leak_search(_text(sent, "task"))


def stop_search(lab: Lab, sent: Sent) -> dict[str, Any]:
    """Ends the search on the version, and no other job."""
    known = _search(lab, sent)
    if known and known["is_open"]:
        lab.stop(known["id"])
    return {"run": known["id"] if known else ""}


def _search(lab: Lab, sent: Sent) -> dict[str, Any] | None:
    """The newest search on the version."""
    name, _, version = _text(sent, "task").partition("@")
    found: dict[str, Any] | None = lab.views.task_leaks(name, version)["search"]
    return found


def _held_out(given: str) -> str:
    """A share or a number of rows. Raises DataError for anything else: a path reads our disk."""
    text = given.strip().replace(",", ".")
    if _SHARE_OR_COUNT.fullmatch(text):
        return text
    raise DataError(
        f'"{text[:40]}" is neither a share nor a number of rows' if text else "nothing is given",
        where="held_out",
        remedy="write a share such as 0.2, or a number of rows such as 40",
    )


def _text(sent: Sent, name: str) -> str:
    value = sent.get(name)
    return value if isinstance(value, str) else ""
