"""Actions of pages that take long: each in a thread, telling how far it is, ended when asked.

A page names its action in its address, so that a reload and a second tab find it again; all are
gone with the server, and with them what they had not finished.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from backend.errors import StateError

log = logging.getLogger("sdlab.server")

Progress = Callable[[str, int, int | None], None]
_AT_ONCE: Final = 4
_REMEMBERED: Final = 24


class Cancelled(Exception):
    """Raised out of an action's progress once it was asked to end."""


@dataclass
class Action:
    """One action as a page sees it; ``answer`` is what it came to, once ``state`` is "done"."""

    title: str
    state: str = "working"  # working, cancelling, cancelled, done or failed
    what: str = ""
    done: int = 0
    total: int | None = None
    answer: Any = None
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def is_open(self) -> bool:
        """Whether it has not ended yet."""
        return not self.ended.is_set()


class LongActions:
    """The actions of one server, by ids that nobody can guess."""

    def __init__(self) -> None:
        self._actions: dict[str, Action] = {}
        self._lock = threading.Lock()

    def start(self, title: str, act: Callable[[Progress], Any]) -> str:
        """Begins ``act``; its id. Raises StateError where too many are under way."""
        action, key = Action(title), secrets.token_hex(8)
        with self._lock:
            self._forget()
            under_way = [each.title for each in self._actions.values() if each.is_open]
            if len(under_way) >= _AT_ONCE:
                raise StateError(
                    f"{len(under_way)} files are being read already ({', '.join(under_way)})",
                    where="file",
                    remedy="wait for one of them, or cancel it where it was begun",
                )
            self._actions[key] = action
        threading.Thread(target=_work, args=(action, act), name=title, daemon=True).start()
        return key

    def find(self, key: str) -> Action | None:
        """The action; None for one that there never was, or that is forgotten by now."""
        return self._actions.get(key)

    def cancel(self, key: str) -> None:
        """Asks the action to end; what it has stored by then is undone."""
        action = self.find(key)
        if action is not None and action.state == "working":
            action.state = "cancelling"

    def _forget(self) -> None:
        ended = [key for key, action in self._actions.items() if not action.is_open]
        for key in ended[: max(0, len(ended) - _REMEMBERED)]:
            del self._actions[key]


def _work(action: Action, act: Callable[[Progress], Any]) -> None:
    def progress(what: str, done: int, total: int | None) -> None:
        if action.state == "cancelling":
            raise Cancelled
        action.what, action.done, action.total = what, done, total

    try:
        action.answer = act(progress)
        action.state = "done"
    except Cancelled:
        action.state = "cancelled"
    except Exception:
        log.exception("%s failed", action.title)
        action.state = "failed"
    finally:
        action.ended.set()
