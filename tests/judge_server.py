"""A real HTTP server on this machine that answers as an OpenAI-compatible judge does."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-secret-of-the-judge"


@dataclass(frozen=True)
class Reply:
    """What the server sends once."""

    text: str = ""
    status: int = 200
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    slow_s: float = 0.0


@dataclass
class JudgeServer:
    """Answers with the queued replies, then by comparing answer and reference."""

    url: str = ""
    queued: list[Reply] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    always: Callable[[], Reply] | None = None

    def reply(self, body: dict[str, Any]) -> Reply:
        self.asked.append(body)
        if self.queued:
            return self.queued.pop(0)
        if self.always is not None:
            return self.always()
        prompt = body["messages"][0]["content"]
        parts = [
            re.search(rf"<{name}>\n(.*)\n</{name}>", prompt, re.DOTALL)
            for name in ("reference", "answer")
        ]
        same = len({found[1].strip() for found in parts if found}) == 1
        return Reply(
            "<think>SCORE: 3</think>It is the same.\nSCORE: 10" if same else "No. SCORE: 0"
        )


@contextmanager
def judge_server() -> Iterator[JudgeServer]:
    """The server, on a port of its own until the end of the block."""
    judge = JudgeServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            judge.keys.append(self.headers.get("Authorization", ""))
            reply = judge.reply(json.loads(self.rfile.read(length)))
            content = reply.body
            if content is None:
                message = {"role": "assistant", "content": reply.text}
                content = json.dumps({"choices": [{"message": message}]}).encode()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            try:
                for place in range(0, len(content), max(1, len(content) // 20)):
                    self.wfile.write(content[place : place + max(1, len(content) // 20)])
                    self.wfile.flush()
                    time.sleep(reply.slow_s / 20)
            except OSError:
                return

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    judge.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield judge
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
