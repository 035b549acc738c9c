"""The content-security policy of every answer; the scripts of a page carry a number used once."""

from __future__ import annotations

import secrets
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

POLICY: Final = "content-security-policy"
# gr.HTML compiles its templates in the browser, which is what 'unsafe-eval' is for.
_PARTS: Final = (
    "default-src 'self'",
    "script-src 'self' 'unsafe-eval'{nonce}",
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
_HEADERS: Final = {"x-content-type-options": "nosniff", "referrer-policy": "same-origin"}


def policy(nonce: str = "") -> str:
    """The header's value; scripts within a page need the nonce."""
    return "; ".join(_PARTS).format(nonce=f" 'nonce-{nonce}'" if nonce else "")


class PolicySend:
    """An ASGI ``send`` that adds the headers, and to a page's scripts the nonce.

    Only Gradio's own page has scripts in its source: values stand in it as JSON without a ``<``.
    So whatever an attacker smuggles into it or into the document later has no nonce, and does not
    run. An answer that brings a policy of its own keeps it.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._page: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            if headers.get("content-type", "").startswith("text/html") and POLICY not in headers:
                self._page = message
                return
            headers.setdefault(POLICY, policy())
        elif self._page is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                await self._send_page(self._page)
            return
        await self._send(message)

    async def _send_page(self, start: Message) -> None:
        nonce = secrets.token_urlsafe(16)
        body = self._body.replace(b"<script", f'<script nonce="{nonce}"'.encode())
        headers = MutableHeaders(scope=start)
        headers[POLICY] = policy(nonce)
        headers["content-length"] = str(len(body))
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})
