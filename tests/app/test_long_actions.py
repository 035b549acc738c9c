"""A long action tells how far it is, ends when asked, and is found again by its name."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from app.long_actions import Action, LongActions, Progress
from backend.errors import StateError

WAIT_S = 30.0


def ended(actions: LongActions, key: str) -> Action:
    action = actions.find(key)
    assert action is not None
    assert action.ended.wait(WAIT_S)
    return action


class Gate:
    """An action that stands still after its first word until it is let go."""

    def __init__(self) -> None:
        self.reached, self.open = threading.Event(), threading.Event()

    def __call__(self, progress: Progress) -> str:
        progress("reading", 500, None)
        self.reached.set()
        assert self.open.wait(WAIT_S)
        progress("storing", 1, 2)
        return "stored"


def test_an_action_is_watched_to_its_answer() -> None:
    actions, gate = LongActions(), Gate()
    key = actions.start("a file", gate)
    assert gate.reached.wait(WAIT_S)
    action = actions.find(key)
    assert action is not None
    assert (action.is_open, action.what, action.done, action.total) == (True, "reading", 500, None)
    gate.open.set()
    action = ended(actions, key)
    assert (action.state, action.answer, action.is_open) == ("done", "stored", False)


def test_a_cancelled_action_gets_no_further_than_its_next_word() -> None:
    actions, gate = LongActions(), Gate()
    key = actions.start("a file", gate)
    assert gate.reached.wait(WAIT_S)
    actions.cancel(key)
    gate.open.set()
    action = ended(actions, key)
    assert (action.state, action.what, action.answer) == ("cancelled", "reading", None)
    actions.cancel(key)
    actions.cancel("none")
    assert action.state == "cancelled"


def test_an_action_that_breaks_is_over_and_said_so(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_progress: Progress) -> Any:
        raise ZeroDivisionError

    actions = LongActions()
    assert ended(actions, actions.start("a file", broken)).state == "failed"
    assert "a file failed" in caplog.text


def test_only_so_many_are_under_way_and_remembered() -> None:
    actions, gates = LongActions(), [Gate() for _ in range(4)]
    keys = [actions.start(f"file {i}", gate) for i, gate in enumerate(gates)]
    with pytest.raises(StateError, match="4 files are being read already") as error:
        actions.start("a fifth", Gate())
    assert "cancel it" in error.value.remedy
    for gate in gates:
        gate.open.set()
    for key in keys:
        ended(actions, key)
    later = []
    for _ in range(40):
        later.append(actions.start("quick", lambda _progress: "done"))
        ended(actions, later[-1])
    assert actions.find(keys[0]) is None
    assert actions.find(later[-1]) is not None
