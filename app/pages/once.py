"""A double click does a thing once: a wish repeated at once gets the first one's answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

WINDOW_S: Final = 2.0


class Once:
    """Remembers what was done lately, by a key that holds session and wish."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._done: dict[str, tuple[float, str]] = {}

    def __call__(self, key: str, act: Callable[[], str]) -> str:
        """What ``act`` returns, or what it returned for the same key a moment ago."""
        # Held while acting: the second click arrives before the first is through.
        with self._lock:
            now = self._clock()
            self._done = {k: v for k, v in self._done.items() if now - v[0] < WINDOW_S}
            if key not in self._done:
                result = act()
                self._done[key] = (self._clock(), result)
            return self._done[key][1]
