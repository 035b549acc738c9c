"""A stand-in for the Hugging Face hub on this machine: what a client asks about one dataset."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

COMMIT = "a" * 40


@contextmanager
def serving(datasets: Mapping[str, Mapping[str, bytes]]) -> Iterator[str]:
    """The address of a hub that has these datasets, each with its files by name."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, with_body: bool) -> None:
            parts = [unquote(part) for part in self.path.partition("?")[0].split("/") if part]
            if parts[:2] == ["api", "datasets"] and "/".join(parts[2:4]) in datasets:
                self._send(json.dumps(_info("/".join(parts[2:4]), datasets)).encode(), with_body)
            elif parts[:1] == ["datasets"] and parts[3:4] == ["resolve"]:
                content = datasets.get("/".join(parts[1:3]), {}).get("/".join(parts[5:]))
                self._send(content, with_body)
            else:
                self._send(None, with_body)

        def _send(self, content: bytes | None, with_body: bool) -> None:
            self.send_response(200 if content is not None else 404)
            if content is None:
                self.send_header("X-Error-Code", "RepoNotFound")
            content = content or b""
            self.send_header("Content-Length", str(len(content)))
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
            self.end_headers()
            if with_body:
                self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Nothing is told: the test looks at what comes of it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _info(name: str, datasets: Mapping[str, Mapping[str, bytes]]) -> dict[str, Any]:
    files = [
        {"rfilename": file, "size": len(content), "blobId": "b" * 40}
        for file, content in datasets[name].items()
    ]
    return {
        "id": name,
        "sha": COMMIT,
        "private": False,
        "tags": [],
        "downloads": 0,
        "likes": 0,
        "siblings": files,
    }
