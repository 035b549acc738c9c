"""What a person does to a task's rows on its page: edit, write, try a scorer, search for leaks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Final, NamedTuple

import gradio as gr

from app.access.roles import for_role
from app.components.view import QUIET, view
from app.long_actions import Cancelled, Progress, watch_of
from app.pages.once import Once
from app.pages.task_doing import Doings
from app.pages.task_held_out import read_share_or_number
from app.pages.task_opened import link_to
from backend.errors import DataError, SdlabError
from backend.lab import Lab, Watch, unwatched

log = logging.getLogger("sdlab.server")

Sent = Mapping[str, Any]
Act = Callable[[Lab, Sent], dict[str, Any]]
_LONGEST_ANSWER: Final = 200_000
_FAILED: Final = (
    "This failed for a reason of the lab's own, which stands in the server's log. Nothing was "
    "stored."
)


class EditedViews(NamedTuple):
    """The views whose events act on a task's rows, or end what they wait for."""

    rows: gr.HTML
    changes: gr.HTML
    searched: gr.HTML
    written: gr.HTML


def editing(lab: Lab, doings: Doings, views: EditedViews) -> None:
    """Joins the views' events to the lab; a view of its own brings the answers back."""
    answers = view("answers", "task-answers")
    once, numbers = Once(), count(1)

    def answer(kind: str, act: Act, event: gr.EventData) -> Any:
        # The number tells an answer from one before it that says the same.
        return {"kind": kind, "number": next(numbers), **answered(lab, act, event._data)}

    def on_save(event: gr.EventData, request: gr.Request) -> Any:
        def begin(lab: Lab, sent: Sent) -> dict[str, Any]:
            wish = f"{request.session_hash} {sent!r}"
            key = once(wish, lambda: begin_saving(lab, doings, sent))
            action = doings.saves.soon(key)
            return action.answer if action.state == "done" else {"begun": key}

        return answer("saved", begin, event)

    def on_unsave(event: gr.EventData) -> Any:
        def cancel(_: Lab, sent: Sent) -> dict[str, Any]:
            doings.saves.cancel(_text(sent, "key"))
            return {}

        return answer("cleared", cancel, event)

    @for_role("viewer")
    def on_clear(event: gr.EventData) -> Any:
        # Who may look may also end it: nothing is stored by looking.
        def clear(_: Lab, sent: Sent) -> dict[str, Any]:
            act = doings.readings.forget if sent.get("again") else doings.readings.cancel
            act(_text(sent, "key"))
            return {}

        return answer("cleared", clear, event)

    def on_try(event: gr.EventData) -> Any:
        return answer("tried", try_answer, event)

    def on_write(event: gr.EventData) -> Any:
        return answer("written", write_rows, event)

    rows, changes, searched, written = views
    rows.submit(on_save, None, answers, **QUIET)
    rows.stop(on_unsave, None, answers, **QUIET)
    rows.apply(on_try, None, answers, **QUIET)
    rows.clear(on_clear, None, answers, **QUIET)
    changes.clear(on_clear, None, answers, **QUIET)
    written.submit(on_write, None, answers, **QUIET)
    _searching(searched, answers, answer)


def _searching(
    searched: gr.HTML, answers: gr.HTML, answer: Callable[[str, Act, gr.EventData], Any]
) -> None:
    once = Once()

    def on_search(event: gr.EventData) -> Any:
        def start(lab: Lab, sent: Sent) -> dict[str, Any]:
            return {"run": once(_text(sent, "task"), lambda: start_search(lab, sent))}

        return answer("searched", start, event)

    def on_stop(event: gr.EventData) -> Any:
        return answer("searched", stop_search, event)

    searched.submit(on_search, None, answers, **QUIET)
    searched.stop(on_stop, None, answers, **QUIET)


def begin_saving(lab: Lab, doings: Doings, sent: Sent) -> str:
    """The name of the saving that is begun."""

    def save(progress: Progress) -> dict[str, Any]:
        watch = watch_of(progress)
        return answered(lab, lambda lab, sent: save_edits(lab, sent, watch), sent)

    return doings.saves.start(_text(sent, "task")[:80] or "rows", save)


def answered(lab: Lab, act: Act, sent: Any) -> dict[str, Any]:
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
    except Cancelled:
        raise
    except Exception:
        log.exception("an event of the Tasks page failed")
        return {"sentence": _FAILED, "where": "", "problems": []}


def save_edits(lab: Lab, sent: Sent, watch: Watch = unwatched) -> dict[str, Any]:
    """Makes a version of the one that was edited, whichever came since."""
    changes = sent.get("changes")
    if not isinstance(changes, dict) or not any(changes.values()):
        raise DataError(
            "nothing is changed yet", where="rows", remedy="change, leave out or add a row first"
        )
    made = lab.edit_task(_text(sent, "task"), changes, watch)
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
        held_out=read_share_or_number(sent.get("held_out")),
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


def _text(sent: Sent, name: str) -> str:
    value = sent.get(name)
    return value if isinstance(value, str) else ""
