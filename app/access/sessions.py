"""Sessions of people who signed in: a token in a cookie, known here by its hash, for a time."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_MOST_A_PERSON: Final = 20


@dataclass(frozen=True)
class Session:
    """Somebody's session; ``proof`` is what their account held as they signed in."""

    name: str
    proof: str
    ends: float


class Sessions:
    """All sessions of a server; they end with it."""

    def __init__(self, lifetime_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.lifetime_s = lifetime_s
        self._clock = clock
        self._by_hash: dict[str, Session] = {}

    def start(self, name: str, proof: str) -> str:
        """A new session's token."""
        now = self._clock()
        self._by_hash = {key: each for key, each in self._by_hash.items() if each.ends > now}
        own = [key for key, each in self._by_hash.items() if each.name == name]
        for key in own[: len(own) + 1 - _MOST_A_PERSON]:
            del self._by_hash[key]
        token = secrets.token_urlsafe(32)
        self._by_hash[_hash(token)] = Session(name, proof, now + self.lifetime_s)
        return token

    def find(self, token: str) -> Session | None:
        """The session of a token, while it lasts."""
        found = self._by_hash.get(_hash(token))
        return found if found and found.ends > self._clock() else None

    def end(self, token: str) -> None:
        self._by_hash.pop(_hash(token), None)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
