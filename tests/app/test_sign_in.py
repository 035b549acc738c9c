"""Signing in and out, asked of guard and door without Gradio's pages; tests/e2e has a browser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from httpx import Response as Answer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from app.access.sign_in import UsersDoor
from app.access.throttle import Throttle
from app.guards import Guard
from backend.config import Settings
from backend.users import Cost, Users

WORDS: Final = "plum kettle orbit"
HERE: Final = "http://127.0.0.1:7860"
NAVIGATE: Final = {"sec-fetch-mode": "navigate"}


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Lab:
    """A guarded lab with one page, its users and its clock."""

    users: Users
    clock: Clock
    door: UsersDoor
    app: Guard

    def browser(self, base_url: str = HERE, address: str = "192.0.2.1") -> TestClient:
        return TestClient(
            self.app, base_url=base_url, client=(address, 50000), follow_redirects=False
        )


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return build(tmp_path)


def build(home: Path, root_path: str = "") -> Lab:
    def answer(request: Request) -> Response:
        return PlainTextResponse(request.scope["user"].name)

    settings = Settings(home=home, session_h=1, root_path=root_path)
    users = Users(settings.users_file, Cost(n=2, r=8, p=1))
    users.add("ada", WORDS, "trainer")
    users.add("eve", "an honest viewer", "viewer")
    clock = Clock()
    door = UsersDoor(users, settings, clock)
    page = Route("/{rest:path}", answer, methods=["GET", "POST"])
    hosts = ["127.0.0.1", "lab.example"]
    return Lab(
        users, clock, door, Guard(Starlette(routes=[*door.routes, page]), hosts, door, root_path)
    )


def sign_in(
    browser: TestClient, name: str = "ada", password: str = WORDS, page: str = ""
) -> Answer:
    return browser.post("/login", data={"name": name, "password": password, "next": page})


def test_a_stranger_is_led_to_the_page_where_one_signs_in(lab: Lab) -> None:
    answer = lab.browser().get("/run?id=3f&x=1", headers=NAVIGATE)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=run%3Fid%3D3f%26x%3D1"
    assert 'value="run?id=3f&amp;x=1"' in lab.browser().get(answer.headers["location"]).text


@pytest.mark.parametrize("path", ["/", "/config", "/gradio_api/queue/join", "/lab/download/1"])
def test_a_stranger_gets_nothing_else(lab: Lab, path: str) -> None:
    assert lab.browser().get(path).status_code == 401
    assert lab.browser().post(path).status_code == 401
    forged = {"cookie": f"{cookie_name(lab)}=forged"}
    assert lab.browser().get(path, headers=forged).status_code == 401


def test_signing_in_leads_on_and_lasts(lab: Lab) -> None:
    browser = lab.browser()
    answer = sign_in(browser, page="run?id=3f")
    assert (answer.status_code, answer.headers["location"]) == (303, "/run?id=3f")
    assert browser.get("/").text == "ada"


@pytest.mark.parametrize(
    "page", ["//evil.example", "https://evil.example", "\\evil", "/run", "run?a\nb", "javascript:x"]
)
def test_signing_in_never_leads_to_another_site(lab: Lab, page: str) -> None:
    assert sign_in(lab.browser(), page=page).headers["location"] == "/"


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(lab: Lab) -> None:
    cookie = sign_in(lab.browser()).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax", "Path=/", "Max-Age=3600"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert WORDS not in cookie


def test_the_cookie_is_secure_behind_https(tmp_path: Path) -> None:
    behind = build(tmp_path, "https://lab.example/lab")
    answer = sign_in(behind.browser("http://lab.example"))
    assert answer.headers["location"] == "/lab/"
    assert {"Secure", "Path=/lab"} <= set(answer.headers["set-cookie"].split("; "))
    direct = build(tmp_path / "direct")
    assert "Secure" in sign_in(direct.browser("https://lab.example")).headers["set-cookie"]


@pytest.mark.parametrize(
    ("name", "password"),
    [("ada", "wrong"), ("eve", WORDS), ("nobody", WORDS), ("", ""), ("a\0", "")],
)
def test_a_wrong_name_or_password_is_told_alike(lab: Lab, name: str, password: str) -> None:
    answer = sign_in(lab.browser(), name, password)
    assert answer.status_code == 401
    assert "do not belong together" in answer.text
    assert "set-cookie" not in answer.headers


def test_text_on_the_page_is_never_html(lab: Lab) -> None:
    text = sign_in(lab.browser(), '"><script>alert(1)</script>', "x").text
    assert "&lt;script&gt;alert" in text
    assert text.count("<script>") == 1


def test_whoever_guesses_must_wait_and_longer_each_time(lab: Lab) -> None:
    browser = lab.browser()
    statuses = [sign_in(browser, password=f"guess {i}").status_code for i in range(7)]
    assert statuses == [401] * 5 + [429] * 2
    waiting = sign_in(browser)
    assert waiting.status_code == 429
    assert "try again in" in waiting.text
    assert sign_in(lab.browser(address="192.0.2.2")).status_code == 303
    lab.clock.now += 1
    assert sign_in(browser, password="again").status_code == 401
    assert int(sign_in(browser).headers["retry-after"]) == 2
    lab.clock.now += 2
    assert sign_in(browser).status_code == 303
    assert sign_in(lab.browser(), password="one").status_code == 401


def test_one_name_cannot_be_guessed_from_many_addresses(lab: Lab) -> None:
    statuses = [
        sign_in(lab.browser(address=f"198.51.100.{i}"), password="guess").status_code
        for i in range(25)
    ]
    assert statuses == [401] * 20 + [429] * 5


def test_the_throttle_keeps_no_more_than_it_must() -> None:
    throttle = Throttle(1, 60.0, Clock())
    for i in range(20_000):
        throttle.missed(str(i))
    assert throttle.wait_s("19999") > 0
    assert throttle.wait_s("0") == 0


def test_signing_out_ends_the_session_everywhere(lab: Lab) -> None:
    browser = lab.browser()
    sign_in(browser)
    token = dict(browser.cookies)
    answer = browser.post("/logout")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    again = lab.browser()
    again.cookies.update(token)
    assert again.get("/").status_code == 401


def test_a_session_ends_by_itself(lab: Lab) -> None:
    browser = lab.browser()
    sign_in(browser)
    lab.clock.now += 3599
    assert browser.get("/").status_code == 200
    lab.clock.now += 2
    assert browser.get("/").status_code == 401


def test_a_new_password_a_new_role_and_a_removal_count_at_once(lab: Lab) -> None:
    browser = lab.browser()
    sign_in(browser)
    lab.users.set_password("ada", "quite another one")
    assert browser.get("/").status_code == 401
    sign_in(browser, password="quite another one")
    assert browser.get("/").status_code == 200
    lab.users.remove("ada")
    assert browser.get("/").status_code == 401


def test_a_person_has_few_sessions_at_once(lab: Lab) -> None:
    first = lab.browser()
    sign_in(first)
    for _ in range(20):
        sign_in(lab.browser())
    assert first.get("/").status_code == 401


def test_a_viewer_sends_nothing_but_events(lab: Lab) -> None:
    """Which events are a viewer's is decided where Gradio runs them: app/access/roles.py."""
    browser = lab.browser()
    sign_in(browser, "eve", "an honest viewer")
    assert browser.get("/lab/download/1").status_code == 200
    assert browser.post("/gradio_api/queue/join").status_code == 200
    for path in ("/gradio_api/upload", "/gradio_api/component_server", "/lab/anything"):
        answer = browser.post(path)
        assert (answer.status_code, "needs a trainer" in answer.text) == (403, True), path


def cookie_name(lab: Lab) -> str:
    answer = sign_in(lab.browser(address="203.0.113.9"))
    return answer.headers["set-cookie"].partition("=")[0]
