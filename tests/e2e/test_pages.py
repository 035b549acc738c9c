"""Every page opens, is drawn, fits its window, asks nobody else, and leaves torch alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.conftest import LiveServer, Troubles

PATHS = ("", "tasks", "launch", "run", "traces", "forgetting", "glossary")


@pytest.mark.parametrize("path", PATHS)
def test_a_page_opens_on_an_empty_lab(server: LiveServer, page: Page, path: str) -> None:
    page.goto(f"{server.url}/{path}")
    expect(page.locator("#header nav")).to_be_visible()
    expect(page.locator("h1").first).to_be_visible()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_page_fits_a_narrow_window(
    server: LiveServer, context: BrowserContext, troubles: Troubles, path: str, theme: str
) -> None:
    page = context.new_page()
    troubles.watch(page)
    page.set_viewport_size({"width": 480, "height": 800})
    page.goto(f"{server.url}/{path}?__theme={theme}")
    expect(page.locator("h1").first).to_be_visible()
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 480, f"{path} is {width} px wide"


def test_links_with_nonsense_are_answered_in_words(server: LiveServer, page: Page) -> None:
    page.goto(f"{server.url}/run?id=<img src=x onerror=alert(1)>")
    expect(page.locator(".sd-error")).to_contain_text("there is no run")
    assert page.locator("img[src=x]").count() == 0


def test_the_theme_is_kept(server: LiveServer, page: Page) -> None:
    page.emulate_media(color_scheme="light")
    page.goto(server.url)
    body = page.locator("body")
    expect(body).not_to_have_class("dark")
    page.get_by_role("button", name="Switch between light and dark").click()
    expect(body).to_have_class("dark")
    page.goto(f"{server.url}/glossary")
    expect(page.locator("#header nav")).to_be_visible()
    expect(body).to_have_class("dark")


def test_torch_stays_out_of_the_web_process(server: LiveServer, page: Page) -> None:
    """Asked of the live process: what it has mapped into its memory."""
    for path in PATHS:
        page.goto(f"{server.url}/{path}")
        expect(page.locator("#header nav")).to_be_visible()
    assert server.process is not None
    mapped = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert "python" in mapped
    assert "libtorch" not in mapped
