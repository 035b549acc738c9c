"""A lab with users, behind a real nginx under a sub-path: pages, events, files, roles, sessions."""

from __future__ import annotations

import json
import re
import signal
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from app.access.sign_in import LOGIN
from backend.settings import Settings
from backend.users import Cost, Role, Users
from tests.e2e.conftest import LiveServer, Troubles, end_workers
from tests.e2e.events import events, outcome
from tests.e2e.proxy import Proxy, proxied
from tests.lab.tiny_tasks import rows, write_rows

# The lab's own routes begin with it too: what is taken off once must not be taken off twice.
PATH: Final = "/lab"
WORDS: Final = "plum kettle orbit"
PAGES: Final = ("", "tasks", "launch", "run", "traces", "forgetting", "glossary")


@dataclass
class Lab:
    """Where a browser finds the lab, and the server behind the proxy."""

    proxy: Proxy
    server: LiveServer

    @property
    def origin(self) -> str:
        return self.proxy.http

    @property
    def url(self) -> str:
        return self.origin + PATH

    @contextmanager
    def client(self, name: str = "") -> Iterator[httpx.Client]:
        """Somebody with a browser's cookies, signed in if a name is given."""
        with httpx.Client(base_url=self.url + "/", timeout=60) as client:
            if name:
                answer = client.post(LOGIN[1:], data={"name": name, "password": WORDS})
                assert answer.status_code == 303, answer.text
            yield client


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("proxy")
    home = folder / "home"
    home.mkdir()
    users = Users(Settings(home=home).users_file, Cost(n=2, r=8, p=1))
    roles: tuple[tuple[str, Role], ...] = (("ada", "trainer"), ("eve", "viewer"))
    for name, role in roles:
        users.add(name, WORDS, role)
    settings = {"SDLAB_AUTH": "users", "SDLAB_ROOT_PATH": PATH}
    server = LiveServer(home, folder / "server.log", settings=settings)
    server.start()
    try:
        with proxied(server.port, PATH, folder) as proxy:
            yield Lab(proxy, server)
    finally:
        server.end(signal.SIGTERM)
        end_workers(home)


@pytest.fixture
def page(context: BrowserContext, lab: Lab) -> Iterator[Page]:
    """A page that may ask for nothing outside the lab's sub-path, and complain of nothing."""
    troubles = Troubles(lab.url + "/")
    page = context.new_page()
    troubles.watch(page)
    yield page
    assert troubles.found == []


# What a viewer may call, by the names that tests/app/test_roles.py has in full; all others act.
READING: Final = frozenset({"fill", "plan", "switch", "press", "on_clear", "on_open"})


def acts(name: str) -> bool:
    """Gradio numbers events of one name."""
    return name.rstrip("_0123456789") not in READING


def sign_in(page: Page, name: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(WORDS)
    page.get_by_role("button", name="Sign in").click()


def test_a_browser_signs_in_sees_every_page_and_signs_out(
    lab: Lab, page: Page, context: BrowserContext
) -> None:
    page.goto(f"{lab.url}/glossary")
    expect(page).to_have_url(f"{lab.url}/login?next=glossary")
    sign_in(page, "ada")
    expect(page).to_have_url(f"{lab.url}/glossary")
    cookies = [each for each in context.cookies() if each["name"].startswith("sdlab-")]
    assert [(c["path"], c["httpOnly"], c["sameSite"]) for c in cookies] == [(PATH, True, "Lax")]
    for path in PAGES:
        page.goto(f"{lab.url}/{path}")
        expect(page.locator("#header nav")).to_be_visible()
        expect(page.locator("h1").first).to_be_visible()
    page.get_by_role("button", name="Sign out ada").click()
    expect(page).to_have_url(f"{lab.url}/login")
    page.goto(f"{lab.url}/tasks")
    expect(page).to_have_url(f"{lab.url}/login?next=tasks")


def test_uploads_and_events_go_through_the_proxy(lab: Lab, page: Page, tmp_path: Path) -> None:
    page.goto(f"{lab.url}/tasks")
    sign_in(page, "ada")
    file = write_rows(tmp_path / "lights.jsonl", rows(10))
    page.locator("#task-file input[type=file]").set_input_files(file)
    page.locator("#task-name input, #task-name textarea").first.fill("lights")
    expect(page.locator("#task-file")).to_contain_text("lights")
    page.locator("#task-add").click()
    expect(page).to_have_url(re.compile(r"/lab/tasks\?task=lights&version=1"))
    expect(page.locator("#task-open")).to_contain_text("lights")


def test_a_viewer_finds_no_way_to_act(lab: Lab, page: Page) -> None:
    page.goto(f"{lab.url}/tasks")
    sign_in(page, "eve")
    expect(page.get_by_role("button", name="Sign out eve")).to_be_visible()
    expect(page.locator("#task-form")).to_be_hidden()


def test_forged_events_of_a_viewer_are_refused(lab: Lab) -> None:
    """Every event that acts, sent as the page would send it; and by the routes for programs."""
    with lab.client("eve") as viewer:
        acting = [each for each in events(viewer) if acts(each["api_name"])]
        assert len(acting) > 15
        for dependency in acting:
            told = outcome(viewer, dependency)
            assert "your role here is viewer" in json.dumps(told), dependency["api_name"]
            body = {"data": [None] * len(dependency["inputs"]), "fn_index": dependency["id"]}
            name = dependency["api_name"]
            for route in ("run", "api"):
                assert viewer.post(f"gradio_api/{route}/{name}", json=body).status_code >= 400
            event = viewer.post(f"gradio_api/call/{name}", json=body).json()["event_id"]
            assert "event: error" in viewer.get(f"gradio_api/call/{name}/{event}").text
        files = {"files": ("a.jsonl", b"{}")}
        assert viewer.post("gradio_api/upload", files=files).status_code == 403
    with lab.client("ada") as trainer:
        told = outcome(trainer, acting[-1])
        assert "your role" not in json.dumps(told)


@pytest.mark.parametrize("path", ["config", "gradio_api/info", "gradio_api/upload", "lab/views.js"])
def test_strangers_get_nothing_through_the_proxy(lab: Lab, path: str) -> None:
    with lab.client() as stranger:
        assert stranger.get(path).status_code == 401
        assert stranger.post(path).status_code == 401
        assert stranger.get("healthz").json()["person"] is None


def test_names_and_origins_are_checked_behind_the_proxy(lab: Lab) -> None:
    with lab.client("ada") as trainer:
        assert trainer.get("config", headers={"host": "evil.example"}).status_code == 403
        assert trainer.post("logout", headers={"origin": "https://evil.example"}).status_code == 403
        assert trainer.get("config", headers={"origin": "https://evil.example"}).status_code == 403
        assert trainer.get("config", headers={"origin": lab.origin}).status_code == 200


def test_the_cookie_is_secure_where_the_proxy_has_https(lab: Lab) -> None:
    trust = ssl.create_default_context(cafile=str(lab.proxy.certificate))
    with httpx.Client(base_url=f"{lab.proxy.https}{PATH}/", verify=trust, timeout=60) as client:
        data = {"name": "ada", "password": WORDS}
        secure = client.post("login", data=data, headers={"origin": lab.proxy.https})
        assert "Secure" in secure.headers["set-cookie"]
        assert client.get("config").status_code == 200
        # The same name, but not by https: another origin.
        plain = lab.proxy.https.replace("https", "http")
        assert client.post("logout", headers={"origin": plain}).status_code == 403
    with lab.client("ada") as client:
        assert not any(cookie.secure for cookie in client.cookies.jar)


def test_a_browser_works_by_https(lab: Lab, browser: Browser) -> None:
    context = browser.new_context(ignore_https_errors=True)
    page, troubles = context.new_page(), Troubles(f"{lab.proxy.https}{PATH}/")
    troubles.watch(page)
    page.goto(f"{lab.proxy.https}{PATH}/tasks")
    sign_in(page, "ada")
    expect(page.locator("#header nav")).to_be_visible()
    cookies = [each for each in context.cookies() if each["name"].startswith("sdlab-")]
    assert cookies
    assert all(cookie["secure"] for cookie in cookies)
    context.close()
    assert troubles.found == []


def test_nobody_can_say_whose_address_the_lab_has(lab: Lab) -> None:
    """Gradio would take its own address from these headers, and keep it for others."""
    forged = {"x-forwarded-host": "evil.example", "x-gradio-server": "http://evil.example"}
    with lab.client("ada") as trainer:
        for path in ("", "config", "gradio_api/info"):
            assert "evil.example" not in trainer.get(path, headers=forged).text


def test_the_policy_of_a_page_allows_its_own_scripts_only(lab: Lab) -> None:
    with lab.client("ada") as trainer:
        page = trainer.get("")
        policy = page.headers["content-security-policy"]
        assert "script-src 'self' 'unsafe-eval' 'nonce-" in policy
        nonce = re.search(r"'nonce-([^']+)'", policy)
        assert nonce
        assert page.text.count("<script") == page.text.count(f'<script nonce="{nonce[1]}"')
        assert nonce[1] not in trainer.get("").text
