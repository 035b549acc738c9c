"""Pages opened in Chromium with an empty cache, and timed by the browser itself."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page, sync_playwright

SCRIPT: Final = Path(__file__).with_name("in_browser.js")
MOST_WAIT_MS: Final = 60_000
FLAGS: Final = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def chromium_path() -> str:
    """The system's Chromium; the program ends where there is none."""
    path = os.environ.get("SDLAB_CHROMIUM") or shutil.which("chromium")
    if path is None:
        sys.exit("Chromium is missing: run make setup-dev")
    return path


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        yield browser
        browser.close()


def open_cold(browser: Browser, address: str, marks: Sequence[str]) -> dict[str, float]:
    """Opens a page until all of ``marks`` (selectors) are painted; returns what it took."""
    with cold_page(browser, marks) as page:
        page.goto(address, wait_until="commit")
        page.wait_for_function("window.bench && bench.ready")
        found: dict[str, float] = page.evaluate("bench.details()")
        return found


def paint_tokens(browser: Browser, address: str, mark: str) -> dict[str, float]:
    """Chooses the second trace of a page that stands; returns the times until it was painted."""
    with cold_page(browser, [mark]) as page:
        page.goto(address)
        page.wait_for_function("bench.ready")
        page.evaluate("bench.timeTokens()")
        page.locator("#trace-list button").nth(1).click()
        page.wait_for_function("bench.painted")
        found: dict[str, float] = page.evaluate("bench.painted")
        return found


@contextmanager
def cold_page(browser: Browser, marks: Sequence[str]) -> Iterator[Page]:
    """A page of a new context, which notes when all of ``marks`` are there."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(MOST_WAIT_MS)
    context.add_init_script(f"{SCRIPT.read_text('utf-8')}\nbench.watch({json.dumps(marks)});")
    try:
        yield context.new_page()
    finally:
        context.close()
