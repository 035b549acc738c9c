"""Signing in by name and password, and out again: a page of its own, and a cookie."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import html
import re
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import urlencode, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request, cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Scope

from app.access.doors import FREE_MISSES, LONGEST_WAIT_S, client_address, too_many
from app.access.sessions import Sessions
from app.access.throttle import Throttle
from backend.config import Settings
from backend.users import Person, Users

LOGIN: Final = "/login"
LOGOUT: Final = "/logout"
# A name may be guessed from many addresses; but nobody should be locked out by it for long.
_FREE_A_NAME: Final = 20
_LONGEST_A_NAME_S: Final = 60.0
# Each guess costs the server time, so they are looked at one by one, and few may wait.
_MOST_WAITING: Final = 10
# A page of the lab with its query, never another site's.
_PAGE: Final = re.compile(r"[a-z]{0,20}(\?[^\\\s#]{0,2000})?")
_SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)


class UsersDoor:
    """People sign in on a page; their session stands in a cookie that scripts cannot read."""

    open_paths: frozenset[str] = frozenset({LOGIN})

    def __init__(
        self, users: Users, settings: Settings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._users = users
        self._sessions = Sessions(settings.session_h * 3600, clock)
        self._addresses = Throttle(FREE_MISSES, LONGEST_WAIT_S, clock)
        self._names = Throttle(_FREE_A_NAME, _LONGEST_A_NAME_S, clock)
        self._turn = asyncio.Semaphore(1)
        self._waiting = 0
        root = urlsplit(settings.root_path)
        self._prefix = root.path.rstrip("/")
        self._is_https = root.scheme == "https"
        # Cookies are shared by all ports of a host, and there may be several labs on it.
        self._cookie = "sdlab-" + hashlib.sha256(str(settings.home).encode()).hexdigest()[:8]

    @property
    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route(LOGIN, self._show, methods=["GET"]),
            Route(LOGIN, self._sign_in, methods=["POST"]),
            Route(LOGOUT, self._sign_out, methods=["POST"]),
        ]

    def enter(self, scope: Scope) -> Person | Response:
        session = self._sessions.find(self._token(scope))
        account = self._users.find(session.name) if session else None
        # Who was given another password, or was removed, is out at the next request.
        if session and account and account.password == session.proof:
            return Person(session.name, account.role)
        if Headers(scope=scope).get("sec-fetch-mode") != "navigate":
            return PlainTextResponse("sdlab: sign in first\n", 401)
        page = str(scope["path"]).lstrip("/")
        query = scope["query_string"].decode("latin-1")
        wanted = _page_of_ours(f"{page}?{query}" if query else page)
        return self._redirect(LOGIN + ("?" + urlencode({"next": wanted}) if wanted else ""))

    def _token(self, scope: Scope) -> str:
        return cookie_parser(Headers(scope=scope).get("cookie", "")).get(self._cookie, "")

    async def _show(self, request: Request) -> Response:
        return sign_in_page(_page_of_ours(request.query_params.get("next", "")))

    async def _sign_in(self, request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=3)
        name, password = (str(form.get(field, ""))[:2000] for field in ("name", "password"))
        wanted = _page_of_ours(str(form.get("next", "")))
        address = client_address(request.scope)
        wait_s = max(self._addresses.wait_s(address), self._names.wait_s(name))
        if not wait_s and self._waiting >= _MOST_WAITING:
            wait_s = 1.0
        if wait_s:
            return too_many(wait_s, lambda told: sign_in_page(wanted, name, told))
        self._addresses.missed(address)
        self._names.missed(name)
        self._waiting += 1
        try:
            async with self._turn:
                account = await run_in_threadpool(self._users.check, name, password)
        finally:
            self._waiting -= 1
        if account is None:
            told = "this name and password do not belong together"
            return sign_in_page(wanted, name, told, status=401)
        self._addresses.passed(address)
        self._names.passed(name)
        self._sessions.end(self._token(request.scope))
        answer = self._redirect("/" + wanted)
        answer.set_cookie(
            self._cookie,
            self._sessions.start(name, account.password),
            max_age=int(self._sessions.lifetime_s),
            path=self._prefix or "/",
            secure=self._is_secure(request),
            httponly=True,
            samesite="lax",
        )
        return answer

    async def _sign_out(self, request: Request) -> Response:
        self._sessions.end(self._token(request.scope))
        answer = self._redirect(LOGIN)
        answer.delete_cookie(
            self._cookie,
            path=self._prefix or "/",
            secure=self._is_secure(request),
            httponly=True,
            samesite="lax",
        )
        return answer

    def _is_secure(self, request: Request) -> bool:
        return self._is_https or request.scope["scheme"] == "https"

    def _redirect(self, path: str) -> Response:
        return RedirectResponse(self._prefix + path, 303, {"cache-control": "no-store"})


def sign_in_page(wanted: str, name: str = "", told: str = "", status: int = 200) -> Response:
    """The page; its one script, which keeps the theme, is allowed by its hash and no other is."""
    page = _template()
    for field, text in (("wanted", wanted), ("name", name[:80]), ("told", told)):
        page = page.replace("{{" + field + "}}", html.escape(text))
    script = _SCRIPT.search(_template())
    digest = hashlib.sha256((script[1] if script else "").encode()).digest()
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'; "
        f"script-src 'sha256-{base64.b64encode(digest).decode()}'"
    )
    return HTMLResponse(
        page, status, {"content-security-policy": policy, "cache-control": "no-store"}
    )


@cache
def _template() -> str:
    return Path(__file__).with_name("sign_in.html").read_text("utf-8")


def _page_of_ours(text: str) -> str:
    return text if _PAGE.fullmatch(text) else ""
