"""What takes long on an opened version: saving, looking through its rows, comparing it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from app.long_actions import Action, LongActions, Readings, watch_of, words
from backend.errors import SdlabError
from backend.lab import Watch

# The name in the page's address under which a saving is found.
KEY: Final = "saving"
_ENDED: Final = {
    "done": "",
    "cancelled": "Cancelled.",
    "failed": "This failed for a reason of the lab's own, which stands in the server's log.",
}
_GONE: Final = (
    "What was being saved is gone with the server that did it. If the versions do not show it, "
    "save it again."
)


@dataclass(frozen=True)
class Doings:
    """What one server is doing: versions that are saved, and lists for whoever looks at them."""

    saves: LongActions = field(default_factory=lambda: LongActions("versions are being saved"))
    readings: Readings = field(default_factory=Readings)

    def saving(self, key: str) -> dict[str, Any] | None:
        """How far a saving is, or what it came to; None where the address names none."""
        if not key:
            return None
        action = self.saves.find(key)
        if action is None:
            return {"words": _GONE, "state": "gone"}
        told = _document(key, action)
        if action.state == "done":
            return {**told, "answer": action.answer}
        ended = "" if action.is_open else " Nothing was stored."
        return {**told, "words": told["words"] + ended}

    def look(
        self, wish: object, title: str, act: Callable[[Watch], Any]
    ) -> tuple[Any, dict[str, Any] | None]:
        """What ``act`` answers, or None and how far it is. Raises SdlabError as it does."""

        def attempt(progress: Any) -> Any:
            try:
                return act(watch_of(progress))
            except SdlabError as error:
                return error

        key, action = self.readings.look(repr(wish), title, attempt)
        if action.state != "done":
            return None, {**_document(key, action), "again": not action.is_open}
        if isinstance(action.answer, SdlabError):
            # Another time it may be otherwise.
            self.readings.forget(key)
            raise action.answer
        return action.answer, None


def _document(key: str, action: Action) -> dict[str, Any]:
    return {
        "key": key,
        "state": action.state,
        "is_open": action.is_open,
        "words": words(action) if action.is_open else _ENDED[action.state],
        "done": action.done,
        "total": action.total,
        "can_cancel": action.is_open and action.state == "working",
    }
