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
from backend.lab import Progress as Told
from backend.lab import Watch

log = logging.getLogger("sdlab.server")

Progress = Callable[[str, int, int | None], None]
_AT_ONCE: Final = 4
_REMEMBERED: Final = 24
# So long a page waits for what it begins: what is short needs no progress.
_SOON_S: Final = 0.4


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
    """The actions of one server, by ids that nobody can guess; ``doing`` is said of too many."""

    def __init__(self, doing: str = "files are being read") -> None:
        self._doing = doing
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
                    f"{len(under_way)} {self._doing} already ({', '.join(under_way)})",
                    where="file",
                    remedy="wait for one of them, or cancel it where it was begun",
                )
            self._actions[key] = action
        threading.Thread(target=_work, args=(action, act), name=title, daemon=True).start()
        return key

    def find(self, key: str) -> Action | None:
        """The action; None for one that there never was, or that is forgotten by now."""
        return self._actions.get(key)

    def soon(self, key: str) -> Action:
        """The action, which has ended already where it is short."""
        action = self._actions[key]
        action.ended.wait(_SOON_S)
        return action

    def cancel(self, key: str) -> None:
        """Asks the action to end; what it has stored by then is undone."""
        action = self.find(key)
        if action is not None and action.state == "working":
            action.state = "cancelling"

    def _forget(self) -> None:
        ended = [key for key, action in self._actions.items() if not action.is_open]
        for key in ended[: max(0, len(ended) - _REMEMBERED)]:
            del self._actions[key]


class Readings:
    """What is looked up at length, once for all who wish to know the same."""

    def __init__(self) -> None:
        self._actions = LongActions("lists are being made")
        self._keys: dict[str, str] = {}

    def look(self, wish: str, title: str, act: Callable[[Progress], Any]) -> tuple[str, Action]:
        """The action that ``wish`` names, begun where there is none. Raises StateError."""
        key = self._keys.get(wish, "")
        action = self._actions.find(key)
        if action is not None:
            return key, action
        key = self._actions.start(title, act)
        known = {other: each for other, each in self._keys.items() if self._actions.find(each)}
        self._keys = {**known, wish: key}
        return key, self._actions.soon(key)

    def cancel(self, key: str) -> None:
        """Asks the action to end."""
        self._actions.cancel(key)

    def forget(self, key: str) -> None:
        """Has the wish looked up anew when it is asked for again."""
        self._keys = {wish: each for wish, each in self._keys.items() if each != key}


def watch_of(progress: Progress) -> Watch:
    """Tells of rows, and of how many there seem to be by the share of them that is done."""

    def tell(so_far: Told) -> None:
        total = round(so_far.rows / so_far.share) if so_far.share > 0 else None
        progress(so_far.stage, so_far.rows, total)

    return tell


def words(action: Action) -> str:
    """What an open action is at."""
    of = "so far" if action.total is None else f"of about {action.total:,}"
    things = "files" if action.what == "fetching" else "rows"
    doing = f"{action.what}, {action.done:,} {things} {of}" if action.what else "beginning"
    end = "; cancelling." if action.state == "cancelling" else "."
    return f"{action.title}: {doing}{end}"


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
