"""Asks a chat model behind an OpenAI-compatible URL: bounded in time, size, tries and places."""

from __future__ import annotations

import http.client
import ipaddress
import json
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from backend.errors import ConfigError

TRIES: Final = 3
LONGEST_WAIT_S: Final = 20.0
REPLY_BYTES: Final = 2**20
_PATH: Final = "/chat/completions"
# The server may do better next time; with other answers it will say the same again.
_TRANSIENT: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})


class Unanswered(Exception):
    """No answer was had; ``raw`` is what came back, ``again`` says whether to try once more."""

    def __init__(
        self, reason: str, raw: str = "", *, again: bool = True, wait_s: float = 0.0
    ) -> None:
        super().__init__(reason)
        self.raw, self.again, self.wait_s = raw, again, wait_s


@dataclass(frozen=True)
class Place:
    """A URL taken apart."""

    is_https: bool
    host: str
    port: int
    path: str


@dataclass(frozen=True)
class ChatServer:
    """A server that answers chats; the key is sent to it and appears nowhere else."""

    url: str
    key: str = field(default="", repr=False)
    allow_private: bool = False
    timeout_s: float = 60.0
    wait: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        place = self.place
        if self.key and not place.is_https and not self.allow_private:
            raise ConfigError(
                "the judge's key would go over the network unencrypted",
                where="SDLAB_JUDGE_URL",
                remedy="use https, or set SDLAB_JUDGE_PRIVATE=true for a judge in your own network",
            )

    @property
    def place(self) -> Place:
        """Where to ask. Raises ConfigError for what is no URL of a server."""
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        is_https = parts.scheme == "https"
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise ConfigError(
                "this is no URL of a server",
                where="SDLAB_JUDGE_URL",
                remedy="write it as https://HOST/v1, without a name or password in it",
            )
        path = parts.path.rstrip("/")
        path = path if path.endswith(_PATH) else path + _PATH
        return Place(is_https, parts.hostname, port or (443 if is_https else 80), path)

    def ask(self, body: Mapping[str, Any]) -> tuple[str, list[str]]:
        """The answer's text, and every raw reply on the way. Raises Unanswered with the last.

        Tries again, after growing waits, where that may help.
        """
        replies: list[str] = []
        for attempt in range(TRIES):
            try:
                text, raw = self._once(body)
                return text, [*replies, raw]
            except Unanswered as error:
                replies.append(error.raw or str(error))
                if not error.again or attempt == TRIES - 1:
                    raise Unanswered(str(error), json.dumps(replies), again=False) from error
                self.wait(min(LONGEST_WAIT_S, max(2.0**attempt, error.wait_s)))
        raise AssertionError("unreachable")

    def _once(self, body: Mapping[str, Any]) -> tuple[str, str]:
        status, raw, wait_s = self._post(json.dumps(body).encode())
        if status != 200:
            moved = "; redirects are not followed" if 300 <= status < 400 else ""
            raise Unanswered(
                f"the judge answered with status {status}{moved}",
                raw,
                again=status in _TRANSIENT,
                wait_s=wait_s,
            )
        try:
            text = json.loads(raw)["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise Unanswered("the judge's reply is no chat completion", raw) from error
        if not isinstance(text, str):
            raise Unanswered("the judge's reply holds no text", raw)
        return text, raw

    def _post(self, body: bytes) -> tuple[int, str, float]:
        """Status, text without the key, and the wait that the server asks for."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        place = self.place
        connection = http.client.HTTPConnection(place.host, place.port, timeout=self.timeout_s)
        try:
            connection.sock = self._connect(place)
            # A server that sends a byte now and then would never run into the socket's own limit.
            with _deadline(connection.sock, self.timeout_s):
                connection.request("POST", place.path, body, headers)
                with connection.getresponse() as answer:
                    content = answer.read(REPLY_BYTES + 1)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = self._without_key(f"{type(error).__name__}: {error}"[:300])
            raise Unanswered(f"the judge could not be asked ({reason})") from error
        finally:
            connection.close()
        raw = self._without_key(content[:REPLY_BYTES].decode("utf-8", "replace"))
        if len(content) > REPLY_BYTES:
            raise Unanswered("the judge's reply is longer than 1 MiB", raw[:1000], again=False)
        return answer.status, raw, _seconds(answer.getheader("Retry-After"))

    def _connect(self, place: Place) -> socket.socket:
        """A connection to the very address that was looked at, so that no second look differs."""
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        if not self.allow_private and (bad := [a for a in addresses if not _is_public(a)]):
            raise Unanswered(
                f"{place.host} is {bad[0]}, an address of a private network; set "
                "SDLAB_JUDGE_PRIVATE=true if the judge is to be asked there",
                again=False,
            )
        last: OSError = OSError("it has no address")
        for address in addresses:
            try:
                plain = socket.create_connection((address, place.port), timeout=self.timeout_s)
            except OSError as error:
                last = error
                continue
            if not place.is_https:
                return plain
            try:
                return ssl.create_default_context().wrap_socket(plain, server_hostname=place.host)
            except OSError:
                plain.close()
                raise
        raise last

    def _without_key(self, text: str) -> str:
        return text.replace(self.key, "[key]") if self.key else text


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if inner is not None:
            return inner.is_global and not inner.is_multicast
    return found.is_global and not found.is_multicast


@contextmanager
def _deadline(connection: socket.socket, timeout_s: float) -> Iterator[None]:
    """Hangs up when the time is over. Raises TimeoutError at the end if it came to that."""
    late = threading.Event()

    def hang_up() -> None:
        late.set()
        with suppress(OSError):
            # Of a TLS socket too: its own shutdown would not tell the reader.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)

    timer = threading.Timer(timeout_s, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
    if late.is_set():
        raise TimeoutError(f"it took more than {timeout_s:g} s")


def _seconds(text: str | None) -> float:
    try:
        value = float(text or 0)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) and value > 0 else 0.0
