"""What takes long on an opened version is told, ended, and begun anew."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from app.long_actions import LongActions
from app.pages.task_doing import Doings
from backend.errors import DataError
from backend.lab import Progress, Watch

WAIT_S = 30.0


class Gate:
    """A list that stands still after its first word until it is let go."""

    def __init__(self) -> None:
        self.open, self.times = threading.Event(), 0

    def __call__(self, watch: Watch) -> str:
        self.times += 1
        watch(Progress("looking through", 2_000, 0.5))
        assert self.open.wait(WAIT_S)
        watch(Progress("looking through", 4_000, 1.0))
        return "found"


def until_ended(doings: Doings, gate: Gate) -> tuple[Any, dict[str, Any] | None]:
    for _ in range(int(WAIT_S / 0.01)):
        found, waiting = doings.look("wish", "lights@1", gate)
        if waiting is None or not waiting["is_open"]:
            return found, waiting
        threading.Event().wait(0.01)
    raise AssertionError("it did not end")


def test_a_list_is_made_once_for_all_who_wait_for_it() -> None:
    doings, gate = Doings(), Gate()
    for _ in range(2):
        found, waiting = doings.look("wish", "lights@1", gate)
        assert found is None
        assert waiting is not None
        assert waiting["words"] == "lights@1: looking through, 2,000 rows of about 4,000."
        assert (waiting["can_cancel"], waiting["again"]) == (True, False)
    gate.open.set()
    assert until_ended(doings, gate) == ("found", None)
    assert doings.look("wish", "lights@1", gate) == ("found", None)
    assert gate.times == 1


def test_a_list_that_was_cancelled_is_made_anew_when_asked_for() -> None:
    doings, gate = Doings(), Gate()
    waiting = doings.look("wish", "lights@1", gate)[1]
    assert waiting is not None
    doings.readings.cancel(waiting["key"])
    gate.open.set()
    ended = until_ended(doings, gate)[1]
    assert ended is not None
    assert (ended["words"], ended["can_cancel"], ended["again"]) == ("Cancelled.", False, True)
    doings.readings.forget(ended["key"])
    assert until_ended(doings, gate) == ("found", None)


def test_a_list_that_cannot_be_made_says_why_each_time() -> None:
    doings, times = Doings(), []

    def refuse(_: Watch) -> str:
        times.append(1)
        raise DataError("no such row", where="rows", remedy="choose another")

    for _ in range(2):
        with pytest.raises(DataError, match="no such row"):
            doings.look("wish", "lights@1", refuse)
    assert len(times) == 2


def test_a_saving_is_found_by_its_name_alone() -> None:
    doings = Doings(saves=LongActions("versions are being saved"))
    assert doings.saving("") is None
    gone = doings.saving("forged")
    assert gone is not None
    assert "is gone with the server" in gone["words"]
    key = doings.saves.start("lights@1", lambda _: {"go": "tasks?task=lights"})
    assert doings.saves.soon(key).state == "done"
    saved = doings.saving(key)
    assert saved is not None
    assert (saved["is_open"], saved["answer"]) == (False, {"go": "tasks?task=lights"})
