"""The live server: who may talk to it, what it gives away, and what it leaves behind."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import sqlite3
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import SDLAB, Command, environment
from tests.e2e.conftest import LiveServer, end_workers


def ask(server: LiveServer, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
    """Status and content of an answer."""
    data = None if body is None else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(
        server.url + path, data, {"content-type": "application/json", **names}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_the_sign_of_life_is_given(server: LiveServer) -> None:
    status, content = ask(server, "/healthz")
    assert status == 200
    assert json.loads(content)["ok"] is True


def test_it_listens_on_this_machine_only(server: LiveServer) -> None:
    others = {
        info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
    } - {"127.0.0.1"}
    for address in others:
        with pytest.raises(OSError), socket.create_connection((address, server.port), timeout=2):
            pass


@pytest.mark.parametrize("path", ["/", "/healthz", "/lab/views.js", "/gradio_api/info"])
def test_another_name_for_this_machine_is_refused_everywhere(server: LiveServer, path: str) -> None:
    assert ask(server, path, host="evil.example")[0] == 403


def test_a_page_of_another_site_cannot_write(server: LiveServer) -> None:
    for path in ("/gradio_api/queue/join", "/gradio_api/upload", "/gradio_api/run/predict"):
        status, content = ask(server, path, {}, origin="https://evil.example")
        assert (status, b"another site" in content) == (403, True), path


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "{home}/lab.sqlite", "{home}/../server.log", "/proc/self/environ",
     "//etc/passwd", "{home}/models/../lab.sqlite"],
)  # fmt: skip
def test_gradios_file_route_gives_nothing_away(server: LiveServer, path: str) -> None:
    wanted = path.format(home=server.home)
    assert ask(server, f"/gradio_api/file={wanted}")[0] in (403, 404)


def test_a_forged_file_object_is_not_read(server: LiveServer) -> None:
    """Whoever names a file of the machine in place of an upload gets an error, not the file."""
    config = json.loads(ask(server, "/config")[1])
    with_files = [c["id"] for c in config["components"] if c["type"] == "file"]
    for dependency in config["dependencies"]:
        inputs = dependency["inputs"]
        if not set(inputs) & set(with_files):
            continue
        forged = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
        data = [forged if i in with_files else None for i in inputs]
        body = {"data": data, "fn_index": dependency["id"], "session_hash": "forged"}
        status, content = ask(server, "/gradio_api/run/predict", body)
        assert b"root:" not in content
        assert status != 200 or b"error" in content.lower()


def test_a_download_takes_an_id_and_nothing_else(server: LiveServer) -> None:
    for name in ("nonsense", "..%2f..%2flab.sqlite", "%2fetc%2fpasswd", "0" * 12):
        assert ask(server, f"/lab/download/{name}")[0] == 404
        assert ask(server, f"/lab/faulty/{name}")[0] == 404


def test_openapi_and_docs_are_put_away(server: LiveServer) -> None:
    for path in ("/openapi.json", "/docs", "/redoc", "/monitoring"):
        assert ask(server, path)[0] in (403, 404), path


def test_a_second_server_is_told_the_address_of_the_first(server: LiveServer) -> None:
    ended = Command(server.home).start("serve", "--port", 0)
    out, err = ended.communicate(timeout=60)
    assert (ended.returncode, out) == (2, "")
    assert server.url in err


def test_a_taken_port_leads_to_the_next_one(server: LiveServer, tmp_path: Path) -> None:
    process = Command(tmp_path / "other").start("serve", "--port", server.port)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2].strip("/\n"))
        assert server.port < port < server.port + 100
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert f"port {server.port} is taken" in err


def test_listening_beyond_this_machine_needs_a_password(tmp_path: Path) -> None:
    ended = Command(tmp_path / "open").start("serve", "--host", "0.0.0.0", "--port", 0)
    _, err = ended.communicate(timeout=60)
    assert ended.returncode == 2
    assert "SDLAB_PASSWORD" in err


def test_the_database_is_whole_after_the_server_was_killed(
    server: LiveServer, tmp_path: Path
) -> None:
    other = LiveServer(tmp_path / "home", tmp_path / "log")
    other.start()
    other.end(signal.SIGKILL)
    with sqlite3.connect(other.home / "lab.sqlite") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_the_demo_in_a_terminal_opens_the_lab_while_its_runs_learn(
    server: LiveServer, tmp_path: Path
) -> None:
    home = tmp_path / "demo"
    home.mkdir()
    (home / "models").symlink_to(server.home / "models")
    near, far = pty.openpty()
    process = subprocess.Popen(
        [SDLAB, "demo", "--quick"],
        stdin=far,
        stdout=far,
        stderr=far,
        env={**without_a_screen(), **environment(home)},
        start_new_session=True,
    )
    os.close(far)
    told = b""
    try:
        while b"premise" not in told:
            told += os.read(near, 4096)
        url = next(line for line in told.decode().splitlines() if line.startswith("http://"))
        with urllib.request.urlopen(url.strip() + "healthz", timeout=30) as answer:
            assert answer.status == 200
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        os.close(near)
        end_workers(home)


def without_a_screen() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
