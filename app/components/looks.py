"""What pages read of the lab, shared by those that look at the same address at the same time."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Query = Mapping[str, str]
_REMEMBERED: Final = 32


@dataclass
class _Place:
    """The newest look at one address."""

    values: list[Any] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    looked_s: float | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Looks:
    """``read`` of an address, and a digest of each value that it gives."""

    def __init__(
        self,
        read: Callable[[Query], list[Any]],
        shared_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read, self._shared_s, self._clock = read, shared_s, clock
        self._places: OrderedDict[tuple[tuple[str, str], ...], _Place] = OrderedDict()
        self._lock = threading.Lock()

    def fresh(self, query: Query) -> tuple[list[Any], list[str]]:
        """What stands there now."""
        return self._look(query, 0.0)

    def recent(self, query: Query) -> tuple[list[Any], list[str]]:
        """What stood there at most ``shared_s`` ago: many open pages cost one look."""
        return self._look(query, self._shared_s)

    def _look(self, query: Query, most_s: float) -> tuple[list[Any], list[str]]:
        place = self._place(query)
        with place.lock:
            now_s = self._clock()
            if place.looked_s is None or now_s - place.looked_s >= most_s:
                place.values = self._read(query)
                place.digests = [_digest(value) for value in place.values]
                place.looked_s = now_s
            # Gradio takes updates apart, which are dicts.
            values = [dict(each) if isinstance(each, dict) else each for each in place.values]
            return values, place.digests

    def _place(self, query: Query) -> _Place:
        address = tuple(sorted(query.items()))
        with self._lock:
            place = self._places.setdefault(address, _Place())
            self._places.move_to_end(address)
            while len(self._places) > _REMEMBERED:
                self._places.popitem(last=False)
            return place


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
