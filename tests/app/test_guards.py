"""What the server refuses, asked of the middleware alone; tests/e2e asks the live server."""

from __future__ import annotations

from typing import Final

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from app.access.doors import OpenDoor, PasswordDoor
from app.guards import Guard, hostname

HERE: Final = "http://127.0.0.1:7860"


def client(password: str = "") -> TestClient:
    """A browser at the lab's own address, before a page that answers everything."""

    def answer(request: Request) -> Response:
        return PlainTextResponse(f"{request.method} done")

    routes = [Route(path, answer, methods=["GET", "POST", "DELETE"]) for path in ("/", "/healthz")]
    door = PasswordDoor(password) if password else OpenDoor()
    guarded = Guard(Starlette(routes=routes), ["127.0.0.1", "localhost", "[::1]"], door)
    return TestClient(guarded, base_url=HERE)


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost", "LOCALHOST:9000", "[::1]:7860"])
def test_the_labs_own_names_are_answered(host: str) -> None:
    assert client().get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:7860", "localhost.", ""])
def test_a_name_that_somebody_else_points_here_is_refused(host: str) -> None:
    """DNS rebinding: the browser believes that it talks to evil.example."""
    answer = client().get("/", headers={"host": host})
    assert answer.status_code == 403
    assert "open the address" in answer.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": HERE}, 200),
        ({}, 200),  # Not a browser: curl, gradio_client.
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
    ],
)
def test_only_the_labs_own_pages_may_write(headers: dict[str, str], status: int) -> None:
    assert client().post("/", headers=headers).status_code == status
    assert client().delete("/", headers=headers).status_code == status


def test_reading_from_a_link_on_another_site_is_allowed() -> None:
    assert client().get("/", headers={"sec-fetch-site": "cross-site"}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:9999", "null"])
def test_a_script_of_another_site_reads_nothing(origin: str) -> None:
    """Gradio would let another port of this machine, or any site where the name is not local."""
    answer = client().get("/", headers={"origin": origin})
    assert answer.status_code == 403
    assert "done" not in answer.text


def test_answers_forbid_frames_and_requests_to_other_machines() -> None:
    policy = client().get("/").headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "http" not in policy


def test_without_the_password_only_the_sign_of_life_is_given() -> None:
    asked = client("open sesame")
    assert asked.get("/healthz").status_code == 200
    answer = asked.get("/")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert asked.post("/").status_code == 401


@pytest.mark.parametrize(
    ("given", "status"),
    [("open sesame", 200), ("open", 401), ("", 401), ("open sesame ", 401)],
)
def test_the_password_opens(given: str, status: int) -> None:
    assert client("open sesame").get("/", auth=("anyone", given)).status_code == status


@pytest.mark.parametrize("header", ["Basic %%%", "Basic", "Bearer abc", "Basic b3Blbg=="])
def test_a_broken_authorization_is_refused(header: str) -> None:
    assert client("open").get("/", headers={"authorization": header}).status_code == 401


def test_whoever_guesses_the_password_must_wait() -> None:
    asked = client("open sesame")
    statuses = [asked.get("/", auth=("a", f"guess {i}")).status_code for i in range(8)]
    assert statuses == [401] * 5 + [429] * 3
    answer = asked.get("/", auth=("a", "open sesame"))
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1


def test_a_password_beyond_ascii_works() -> None:
    assert client("päss").get("/", auth=("a", "päss")).status_code == 200


@pytest.mark.parametrize(
    ("header", "name"),
    [("localhost:1", "localhost"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("A.b", "a.b")],
)
def test_the_name_is_read_without_its_port(header: str, name: str) -> None:
    assert hostname(header) == name
