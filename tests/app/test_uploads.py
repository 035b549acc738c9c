"""How much a browser may send and how often, and which files are given out."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.formparsers import MultiPartException
from starlette.types import Message

from app.uploads import (
    KEEP_FREE,
    MIB,
    UPLOADS,
    UPLOADS_A_MINUTE,
    Limits,
    names_an_address,
    remove_old_uploads,
)
from backend.settings import Settings

UPLOAD = "/gradio_api/upload"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / UPLOADS / "ab12").mkdir(parents=True)
    (tmp_path / "lab.sqlite").write_text("secret")
    return tmp_path


def limits(home: Path, *, free: int = 100 * KEEP_FREE, now: list[float] | None = None) -> Limits:
    clock = now or [0.0]
    disk = SimpleNamespace(free=free)
    return Limits(Settings(home=home, max_upload_mib=2), lambda: clock[0], lambda path: disk)


def request(path: str, length: Any = 0, method: str = "POST", client: str = "1") -> dict[str, Any]:
    headers = [(b"content-length", str(length).encode())]
    return {"path": path, "headers": headers, "method": method, "client": (client, 1)}


def status(limit: Limits, *arguments: Any, **more: Any) -> int:
    answer = limit.refusal(request(*arguments, **more))
    return answer.status_code if answer else 200


def test_a_file_that_is_too_large_is_refused_before_it_comes(home: Path) -> None:
    limit = limits(home)
    assert status(limit, UPLOAD, 2 * MIB) == 200
    assert status(limit, UPLOAD, 4 * MIB) == 413
    assert status(limit, "/gradio_api/queue/join", MIB) == 200
    assert status(limit, "/gradio_api/queue/join", 9 * MIB) == 413


def test_a_body_without_a_length_is_ended_when_it_grows_too_large(home: Path) -> None:
    async def endless() -> Message:
        return {"type": "http.request", "body": b"x" * MIB, "more_body": True}

    async def read(times: int) -> None:
        receive = limits(home).counted(request(UPLOAD, "lies"), endless)
        for _ in range(times):
            await receive()

    asyncio.run(read(3))
    with pytest.raises(MultiPartException, match="maximum allowed size"):
        asyncio.run(read(4))


def test_an_upload_that_breaks_off_is_ended_so_that_its_file_is_deleted(home: Path) -> None:
    part = {"type": "http.request", "body": b"x", "more_body": True}
    end: Message = {"type": "http.disconnect"}

    def hears(path: str, *messages: Message) -> list[str]:
        coming = iter(messages)

        async def told() -> Message:
            return next(coming)

        receive = limits(home).counted(request(path), told)
        return [asyncio.run(receive())["type"] for _ in messages]

    with pytest.raises(MultiPartException, match="broke off"):
        hears(UPLOAD, part, end)
    whole = [part, {**part, "more_body": False}, end]
    assert hears(UPLOAD, *whole)[-1] == "http.disconnect"
    assert hears("/gradio_api/queue/data", part, end)[-1] == "http.disconnect"


def test_nothing_is_taken_when_the_disk_is_nearly_full(home: Path) -> None:
    assert status(limits(home, free=KEEP_FREE + MIB), UPLOAD, MIB) == 200
    assert status(limits(home, free=KEEP_FREE), UPLOAD, MIB) == 507


def test_nobody_sends_files_without_end(home: Path) -> None:
    now = [0.0]
    limit = limits(home, now=now)
    assert {status(limit, UPLOAD) for _ in range(UPLOADS_A_MINUTE)} == {200}
    assert status(limit, UPLOAD) == 429
    assert status(limit, UPLOAD, client="2") == 200
    now[0] = 61.0
    assert status(limit, UPLOAD) == 200


def test_only_uploads_are_given_out_also_through_links(home: Path) -> None:
    folder = home / UPLOADS / "ab12"
    (folder / "rows.jsonl").write_text("{}")
    (folder / "link").symlink_to(home / "lab.sqlite")
    limit = limits(home)
    for route in ("file=", "file/"):
        assert status(limit, f"/gradio_api/{route}{folder}/rows.jsonl", method="GET") == 200
        for path in (
            f"{folder}/link",
            f"{folder}/../../lab.sqlite",
            f"{home}/lab.sqlite",
            "/etc/passwd",
            "http://192.0.2.1/",
            "https://example.org/x",
            str(folder),
            "\0",
            "x" * 5000,
        ):
            assert status(limit, f"/gradio_api/{route}{path}", method="GET") == 404, path


@pytest.mark.parametrize("path", ["proxy=https://a.hf.space/", "deep_link", "dev/reload"])
def test_routes_that_nobody_needs_are_put_away(home: Path, path: str) -> None:
    assert status(limits(home), f"/gradio_api/{path}", method="GET") == 404


@pytest.mark.parametrize(
    ("data", "names"),
    [
        ([{"path": "http://192.0.2.1/x", "meta": {}}], True),
        ([1, {"a": [{"path": "HTTPS://example.org"}]}], True),
        ([{"path": "/home/x/rows.jsonl", "url": "http://127.0.0.1:7860/x"}], False),
        (["see http://example.org", None], False),
    ],
)
def test_a_file_object_that_names_an_address_is_known(data: Any, names: bool) -> None:
    assert names_an_address(data) is names


def test_old_uploads_are_removed(home: Path) -> None:
    old, new = (home / UPLOADS / "ab12" / name for name in ("old", "new"))
    for path in (old, new):
        path.write_text("{}")
    os.utime(old, (1000, 1000))
    remove_old_uploads(home / UPLOADS, new.stat().st_mtime + 60)
    assert (old.exists(), new.exists()) == (False, True)
