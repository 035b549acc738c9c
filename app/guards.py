"""What the server refuses before anything else looks at a request: other hosts, sites, people."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# gr.HTML compiles its templates in the browser, which is what 'unsafe-eval' is for.
_POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "form-action 'self'",
        "base-uri 'self'",
        "object-src 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}


HEALTH: Final = "/healthz"


class Guard:
    """ASGI middleware: a Host allow-list, an Origin check on all that writes, and a password.

    A page of another site can make a browser send requests here, and can point a name of its own
    at 127.0.0.1 to read the answers. The first carry that site's Origin, the second its Host.
    The password, if there is one, is asked for everything but the sign of life, as HTTP Basic
    (RFC 7617) with any user name: one check covers Gradio's routes and ours alike.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str], password: str = "") -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._password = password.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if hostname(host) not in self._hosts:
            return _refused("this name is not one of the lab's; open the address that serve told")
        origin = headers.get("origin")
        is_write = scope["type"] == "websocket" or scope["method"] not in _READING
        if is_write and origin is not None and origin.partition("://")[2] != host:
            return _refused("a page of another site may not write to the lab")
        if is_write and origin is None and headers.get("sec-fetch-site") == "cross-site":
            return _refused("a page of another site may not write to the lab")
        if self._password and scope["path"] != HEALTH and not self._is_known(headers):
            return PlainTextResponse(
                "sdlab: the lab's password is needed\n",
                401,
                {"www-authenticate": 'Basic realm="sdlab", charset="UTF-8"'},
            )
        return None

    def _is_known(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        try:
            password = base64.b64decode(given, validate=True).partition(b":")[2]
        except binascii.Error:
            return False
        return scheme.lower() == "basic" and hmac.compare_digest(password, self._password)


def _refused(reason: str) -> Response:
    return PlainTextResponse(f"sdlab: {reason}\n", 403)


def hostname(host: str) -> str:
    """The name in a Host header, without its port; IPv6 addresses keep their brackets."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower()
