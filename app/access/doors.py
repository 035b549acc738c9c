"""How people come in: freely on their own machine, by one password, or by a name and a role."""

from __future__ import annotations

import base64
import binascii
import hmac
import math
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute
from starlette.types import Scope

from app.access.throttle import Throttle
from backend.users import Person

# Whoever is at this machine, or knows the one password.
_OWNER: Final = Person("", "admin")
FREE_MISSES: Final = 5
LONGEST_WAIT_S: Final = 900.0


class Door(Protocol):
    """Lets people in."""

    @property
    def open_paths(self) -> frozenset[str]:
        """What is answered to those who are not in."""

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """Pages of the door's own."""

    def enter(self, scope: Scope) -> Person | Response:
        """Who asks, or what to answer to somebody who is not in."""


class OpenDoor:
    """Everybody who reaches the lab is its owner."""

    open_paths: frozenset[str] = frozenset()
    routes: Sequence[BaseRoute] = ()

    def enter(self, scope: Scope) -> Person | Response:
        del scope
        return _OWNER


class PasswordDoor:
    """One password for all, as HTTP Basic (RFC 7617) with any user name."""

    open_paths: frozenset[str] = frozenset()
    routes: Sequence[BaseRoute] = ()

    def __init__(self, password: str, throttle: Throttle | None = None) -> None:
        self._password = password.encode()
        self._throttle = throttle or Throttle(FREE_MISSES, LONGEST_WAIT_S)

    def enter(self, scope: Scope) -> Person | Response:
        given = Headers(scope=scope).get("authorization")
        if given is None:
            return _asked()
        address = client_address(scope)
        wait_s = self._throttle.wait_s(address)
        if wait_s:
            return too_many(wait_s)
        if hmac.compare_digest(_basic_password(given), self._password):
            self._throttle.passed(address)
            return _OWNER
        self._throttle.missed(address)
        return _asked()


def client_address(scope: Scope) -> str:
    """The address of the browser, or of the proxy's client."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def too_many(wait_s: float, page: Callable[[str], Response] | None = None) -> Response:
    """The answer to somebody who must wait."""
    whole_s = math.ceil(wait_s)
    told = f"too many wrong passwords; try again in {whole_s} s"
    answer = page(told) if page else PlainTextResponse(f"sdlab: {told}\n")
    answer.status_code = 429
    answer.headers["retry-after"] = str(whole_s)
    return answer


def _asked() -> Response:
    return PlainTextResponse(
        "sdlab: the lab's password is needed\n",
        401,
        {"www-authenticate": 'Basic realm="sdlab", charset="UTF-8"'},
    )


def _basic_password(header: str) -> bytes:
    """The password in an Authorization header; empty, which no password is, where it is broken."""
    scheme, _, given = header.partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(given, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""
