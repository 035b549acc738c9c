"""The lab's own routes beside Gradio's: health, scripts, and downloads by id."""

from __future__ import annotations

import hashlib
import importlib.resources
import json
import secrets
from functools import cache
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import BaseRoute, Route

from app.faulty_rows import find
from app.glossary import plain_sentences
from backend.errors import SdlabError
from backend.lab import Lab

STATIC: Final = Path(__file__).parent / "static"
# In this order: the first defines what the others add to.
SCRIPTS: Final = ("lab.js", *sorted(p.name for p in STATIC.glob("*.js") if p.name != "lab.js"))


def own_routes(lab: Lab) -> list[BaseRoute]:
    """Routes that come before Gradio's."""
    served = secrets.token_hex(8)

    def health(request: Request) -> Response:
        """Ready; ``server`` changes with a restart, by which an open page knows to load anew.

        So it does where ``person`` is null: then a session has ended.
        """
        person = request.scope.get("user")
        who = {"name": person.name, "role": person.role} if person else None
        ready = {"ok": True, "server": served, "home": lab.settings.home.name}
        return JSONResponse(ready | ({"person": who} if lab.settings.auth else {}))

    def download(request: Request) -> Response:
        try:
            found = lab.views.file(request.path_params["artifact"])
        except SdlabError as error:
            return PlainTextResponse(f"{error}\n", 404)
        return FileResponse(found.path, filename=found.name)

    def rows(request: Request) -> Response:
        try:
            found = lab.views.task_file(request.path_params["version"])
        except SdlabError as error:
            return PlainTextResponse(f"{error}\n", 404)
        headers = {"content-disposition": f'attachment; filename="{found.name}"'}
        return StreamingResponse(found.lines, media_type="application/x-ndjson", headers=headers)

    def faulty(request: Request) -> Response:
        place = find(lab.settings.home, request.path_params["key"])
        if place is None:
            return PlainTextResponse("these rows are kept for an hour; check the file again\n", 404)
        # The link says under which name: the file's is known to the page only.
        headers = {"content-disposition": "attachment", "cache-control": "no-store"}
        return FileResponse(place, media_type="application/x-ndjson", headers=headers)

    return [
        Route("/healthz", health),
        Route("/lab/views.js", _script),
        Route("/lab/plotly.js", _plotly),
        Route("/lab/download/{artifact}", download),
        Route("/lab/rows/{version}", rows),
        Route("/lab/faulty/{key}", faulty),
    ]


def _script(request: Request) -> Response:
    return _cached(request, _bundle(), "text/javascript")


def _plotly(request: Request) -> Response:
    return _cached(request, _plotly_source(), "text/javascript")


@cache
def _bundle() -> bytes:
    words = f"sdlab.words = {json.dumps(plain_sentences())};".encode()
    return b"\n".join([*((STATIC / name).read_bytes() for name in SCRIPTS), words])


@cache
def _plotly_source() -> bytes:
    # Not plotly.offline.get_plotlyjs: that imports half of plotly to read one file.
    package = importlib.resources.files("plotly")
    return (package / "package_data" / "plotly.min.js").read_bytes()


@cache
def _etag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def _cached(request: Request, content: bytes, kind: str) -> Response:
    """The content, or 304 to a browser that has it already."""
    headers = {"etag": _etag(content), "cache-control": "no-cache"}
    if request.headers.get("if-none-match", "").removeprefix("W/") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=kind)
