"""What may be sent here, how much and how often; and which files Gradio may give out."""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope

from app.access.doors import client_address
from backend.settings import Settings

UPLOADS: Final = "browser-uploads"
FILES: Final = "/gradio_api/file"
MIB: Final = 1 << 20
_UPLOAD: Final = "/gradio_api/upload"
# A form's file comes with its name and a boundary around it.
_AROUND: Final = MIB
# An event carries what a person typed, never a file.
_LARGEST_EVENT: Final = 8 * MIB
KEEP_FREE: Final = 512 * MIB
UPLOADS_A_MINUTE: Final = 30
_KEPT_S: Final = 24 * 3600
# Gradio would ask other machines for what the path names, or store what is shown under a link.
_NEVER_ANSWERED: Final = ("/gradio_api/proxy=", "/gradio_api/deep_link", "/gradio_api/dev/")


class Limits:
    """Refuses requests for what they carry or name."""

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
        disk: Callable[[Path], Any] = shutil.disk_usage,
    ) -> None:
        self._folder = settings.home / UPLOADS
        self._largest = settings.max_upload_mib * MIB + _AROUND
        self._clock = clock
        self._disk = disk
        self._sent: dict[str, deque[float]] = {}

    def refusal(self, scope: Scope) -> Response | None:
        """What to answer in place of the app, or None."""
        path = scope["path"]
        if path.startswith(_NEVER_ANSWERED):
            return _answer("this is not answered here", 404)
        if path.startswith(FILES):
            named = path[len(FILES) :].lstrip("=/")
            return None if self._is_upload(named) else _answer("there is no such file", 404)
        length = Headers(scope=scope).get("content-length", "0")
        size = int(length) if length.isdecimal() and len(length) < 16 else 0
        if size > self._most(path):
            mib = self._most(path) // MIB
            return _answer(f"this is too large: {mib} MiB at most (SDLAB_MAX_UPLOAD_MIB)", 413)
        return self._full(scope, size) if path.startswith(_UPLOAD) else None

    def counted(self, scope: Scope, receive: Receive) -> Receive:
        """``receive`` that ends a body which grows too large, whatever it said of its length.

        An upload that breaks off leaves nothing behind.
        """
        left = self._most(scope["path"])
        is_whole = not scope["path"].startswith(_UPLOAD)

        async def limited() -> Message:
            nonlocal left, is_whole
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                # Gradio deletes what it has of an upload, and answers 413 to these words.
                raise MultiPartException("The body exceeded the maximum allowed size")
            if message["type"] == "http.disconnect" and not is_whole:
                # So it does here; it would leave its file where the connection just ends.
                raise MultiPartException("The connection broke off")
            is_whole = is_whole or not message.get("more_body", False)
            return message

        return limited

    def _most(self, path: str) -> int:
        return self._largest if path.startswith(_UPLOAD) else _LARGEST_EVENT

    def _is_upload(self, named: str) -> bool:
        """Whether a path leads into the folder of uploads, also where links on it lead."""
        try:
            found = Path("/", named).resolve()
            return found.is_file() and found.is_relative_to(self._folder.resolve())
        except (OSError, ValueError):
            return False

    def _full(self, scope: Scope, size: int) -> Response | None:
        if scope.get("method") != "POST":
            return None
        if self._disk(self._folder.parent).free - size < KEEP_FREE:
            return _answer("the lab's disk is nearly full; free some space first", 507)
        person = scope.get("user")
        who = getattr(person, "name", "") or client_address(scope)
        now = self._clock()
        self._sent = {key: sent for key, sent in self._sent.items() if now - sent[-1] < 60}
        sent = self._sent.setdefault(who, deque(maxlen=UPLOADS_A_MINUTE))
        if len(sent) == UPLOADS_A_MINUTE and now - sent[0] < 60:
            return _answer("too many files within a minute; wait a little", 429)
        sent.append(now)
        return None


def remove_old_uploads(folder: Path, now: float) -> None:
    """Deletes what browsers sent a day ago or earlier: tasks keep their own copies."""
    for path in folder.rglob("*"):
        if path.is_file() and now - path.lstat().st_mtime > _KEPT_S:
            path.unlink(missing_ok=True)


def names_an_address(data: Any) -> bool:
    """Whether an event's data has a file object that names an address, which Gradio would fetch."""
    if isinstance(data, dict):
        path = data.get("path")
        if isinstance(path, str) and "://" in path:
            return True
        return any(names_an_address(each) for each in data.values())
    return isinstance(data, list | tuple) and any(names_an_address(each) for each in data)


def _answer(told: str, status: int) -> Response:
    return PlainTextResponse(f"sdlab: {told}\n", status)
