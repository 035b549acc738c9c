"""Whoever guesses must wait, twice as long after each miss."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

_MOST: Final = 10_000
_FORGOTTEN_S: Final = 3600.0


class Throttle:
    """Counts misses by key, such as a client's address; the first ``free`` cost nothing."""

    def __init__(
        self, free: int, longest_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._free = free
        self._longest_s = longest_s
        self._clock = clock
        # Key: misses, and when the last one was; the oldest first.
        self._missed: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_s(self, key: str) -> float:
        """Seconds until the key may try again; 0 for now."""
        misses, last = self._missed.get(key, (0, 0.0))
        if misses < self._free:
            return 0.0
        pause = min(2.0 ** min(misses - self._free, 30), self._longest_s)
        return max(0.0, last + pause - self._clock())

    def missed(self, key: str) -> None:
        """To be called before the attempt is looked at, so that attempts at once all count."""
        now = self._clock()
        misses, last = self._missed.pop(key, (0, now))
        self._missed[key] = (misses + 1 if now - last < _FORGOTTEN_S else 1, now)
        if len(self._missed) > _MOST:
            self._missed.popitem(last=False)

    def passed(self, key: str) -> None:
        """The attempt was a good one: earlier misses are forgotten."""
        self._missed.pop(key, None)
