"""Waiting for jobs on the command line, with a line for each change."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from app.cli.output import duration, show, tell
from backend.errors import SdlabError, StateError, stored_error
from backend.lab import Lab

QUIET_S = 5.0
QUEUED = "queued: run sdlab serve, or give --wait"


def wait_for(lab: Lab, ids: Sequence[str]) -> list[dict[str, Any]]:
    """The jobs' documents once all have ended; progress goes to stderr meanwhile."""
    for line in queue_words(lab.queue.document(), ids):
        tell(line)
    return lab.wait(ids, Teller())


def queue_words(queue: dict[str, Any], ids: Sequence[str]) -> Iterator[str]:
    """What is to end before the first of the jobs begins, such as an interrupted demo's runs."""
    places = [place for place, entry in enumerate(queue["queued"]) if entry["id"] in ids]
    if not places:
        return
    if queue["paused"]:
        yield "  the queue is paused: nothing begins before: sdlab queue resume"
    working = [slot["run"] for slot in queue["slots"] if slot["run"] is not None]
    is_full = len(working) == len(queue["slots"])
    ahead = (working if is_full else []) + queue["queued"][: places[0]]
    if ahead:
        names = ", ".join(f"{entry['name']} ({entry['id'][:8]})" for entry in ahead[:3])
        more = ", ..." if len(ahead) > 3 else ""
        jobs = "1 job goes" if len(ahead) == 1 else f"{len(ahead)} jobs go"
        yield f"  {jobs} first: {names}{more}; see sdlab queue, or end one with: sdlab stop RUN"


def result_of(lab: Lab, run_id: str, wait: bool, as_json: bool) -> dict[str, Any] | None:
    """The finished job that was waited for; without ``wait`` None, once its place is printed."""
    if wait:
        return must_be_done(wait_for(lab, [run_id])[0])
    tell(QUEUED)
    show(lab.run(run_id), as_json, lambda run: iter([run["id"]]))
    return None


def must_be_done(document: dict[str, Any]) -> dict[str, Any]:
    """The document of a job that is done. Raises the job's own error otherwise."""
    if document["state"] != "done":
        raise _failure(document)
    return document


def tell_warnings(document: dict[str, Any]) -> None:
    """What a job that is done warned of, on stderr: such as items without a score."""
    for event in document["events"]:
        if event["level"] == "warning":
            tell(f"  warning: {event['message']}")


def exit_code_of(documents: Sequence[dict[str, Any]]) -> int:
    """0 if all are done, or were stopped as someone wished; else told, 2 for users' mistakes."""
    failures = [_failure(each) for each in documents if each["state"] not in ("done", "cancelled")]
    for failure in failures:
        tell(f"sdlab: {failure}")
    return min((failure.exit_code for failure in failures), default=0)


def _failure(document: dict[str, Any]) -> SdlabError:
    where = f"{document['name']} ({document['id'][:8]})"
    if document["error"]:
        return stored_error(document["error"], where)
    return StateError(
        f"the job is {document['state']}",
        where=where,
        remedy=f"go on with: sdlab resume {document['id'][:8]} --wait",
    )


class Teller:
    """Says each phase that a job begins, and every few seconds how far it is within one."""

    def __init__(self) -> None:
        self._last: tuple[str, str] = ("", "")
        self._step = -1
        self._told_s = 0.0

    def __call__(self, run: Any, phases: Sequence[tuple[str, int]]) -> None:
        for phase, step in phases:
            self._tell(run, phase, step)
        now_s = time.monotonic()
        moved = run.step != self._step and now_s - self._told_s >= QUIET_S
        if moved or (run.id, run.phase or run.state) != self._last:
            self._step, self._told_s = run.step, now_s
            left = "" if run.eta_s is None else f", {duration(run.eta_s)} left"
            self._tell(run, run.phase or run.state, run.step, left)

    def _tell(self, run: Any, phase: str, step: int, left: str = "") -> None:
        self._last = (run.id, phase)
        steps = f" step {step}/{run.total_steps}{left}" if run.kind == "train" else ""
        tell(f"  {run.name}: {phase}{steps}")
