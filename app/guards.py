"""What the server refuses before anything else looks at a request: other hosts, sites, people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access.doors import Door
from app.access.roles import refusal, role_for_route
from app.policy import PolicySend
from app.uploads import Limits
from backend.users import Person

HEALTH: Final = "/healthz"
# The second is Gradio's own first request, without which it does not start; it tells nothing.
_ALWAYS_OPEN: Final = frozenset({HEALTH, "/gradio_api/startup-events"})
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# Gradio makes its own address of these, whoever sends them. The proxy's Host says the name.
_NEVER_BELIEVED: Final = frozenset({b"x-forwarded-host", b"x-gradio-server"})
_OF_A_PROXY: Final = frozenset({b"x-forwarded-proto", b"x-forwarded-for"})


class Guard:
    """ASGI middleware: a Host allow-list, an Origin check, a door for people, and their roles.

    A page of another site can make a browser send requests here, and can point a name of its own
    at 127.0.0.1 to read the answers. The first carry that site's Origin, the second its Host.
    Requests of other origins are refused even when they only read: Gradio would let another port
    of this machine, and on a name that is not local any site, read the answer.
    One check covers Gradio's routes and ours alike; ``scope["user"]`` then says who asks.
    """

    def __init__(
        self, app: ASGIApp, hosts: Iterable[str], door: Door, limits: Limits, root_path: str = ""
    ) -> None:
        root = urlsplit(root_path)
        self._app = app
        self._door = door
        self._limits = limits
        public = [hostname(root.netloc)] if root.netloc else []
        self._hosts = frozenset([*(host.lower() for host in hosts), *public])
        self._origin = f"{root.scheme}://{root.netloc}" if root.netloc else None
        self._unbelieved = _NEVER_BELIEVED if root_path else _NEVER_BELIEVED | _OF_A_PROXY

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        with_policy = PolicySend(send)
        answer = self._stranger(scope) or self._unknown(scope) or self._limits.refusal(scope)
        if answer is not None:
            await answer(scope, receive, with_policy)
            return
        kept = [pair for pair in scope["headers"] if pair[0] not in self._unbelieved]
        # The proxy has taken the sub-path off; Starlette would take another one off.
        inner = {**scope, "headers": kept, "root_path": ""}
        await self._app(inner, self._limits.counted(scope, receive), with_policy)

    def _stranger(self, scope: Scope) -> Response | None:
        """The answer to a request that another name or another site's page brought."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if hostname(host) not in self._hosts:
            return _refused("this name is not one of the lab's; open the address that serve told")
        origin = headers.get("origin")
        scheme, _, name = (origin or "").partition("://")
        # Who came by https is asked nothing by a page that anybody on its way could have written.
        is_own = name == host and (scheme == "https" or scope["scheme"] != "https")
        if origin is not None and origin != self._origin and not is_own:
            return _refused("a page of another site may not talk to the lab")
        is_write = scope["type"] == "websocket" or scope["method"] not in _READING
        if is_write and origin is None and headers.get("sec-fetch-site") == "cross-site":
            return _refused("a page of another site may not talk to the lab")
        return None

    def _unknown(self, scope: Scope) -> Response | None:
        """The answer to somebody who is not in, or may not do this; or None, and they are known."""
        path = scope["path"]
        found = self._door.enter(scope)
        scope["user"] = found if isinstance(found, Person) else None
        if isinstance(found, Response):
            return None if path in _ALWAYS_OPEN | self._door.open_paths else found
        needed = role_for_route(scope.get("method", "POST"), path)
        return None if found.may(needed) else _refused(refusal(found, needed))


def _refused(reason: str) -> Response:
    return PlainTextResponse(f"sdlab: {reason}\n", 403)


def hostname(host: str) -> str:
    """The name in a Host header, without its port; IPv6 addresses keep their brackets."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower()
