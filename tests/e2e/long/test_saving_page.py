"""A large version is saved, compared and ordered with progress, and given up when asked."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.cli.command import Command
from tests.e2e.conftest import LiveServer
from tests.lab.tiny_tasks import rows, write_rows

MINUTE = 60_000


def test_a_saving_tells_how_far_it_is_and_is_cancelled(
    server: LiveServer, page: Page, tmp_path: Path
) -> None:
    large = write_rows(tmp_path / "large.jsonl", rows(40_000))
    Command(server.home)("task", "add", large, "--name", "many").done()
    page.goto(f"{server.url}/tasks?task=many&row=3")
    page.locator("#row-exclude").click()
    page.locator("#edits-save").click()
    bar = page.locator(".sd-edit-bar")
    expect(bar).to_contain_text(re.compile(r"many@1: \w+, [\d,]+ rows"))
    page.locator("#doing-cancel").click()
    expect(bar).to_contain_text("Cancelled. Nothing was stored.")
    assert len(Command(server.home)("task", "show", "many").done()["versions"]) == 1
    page.locator("#edits-save").click()
    expect(bar.locator(".sd-doing")).to_contain_text("many@1: ")
    page.reload()
    page.wait_for_url(re.compile("task=many&version=2&added=edited"), timeout=MINUTE)
    expect(page.locator("#task-open .sd-told")).to_contain_text("1 row left out.")
    page.goto(f"{server.url}/tasks?task=many&version=2&show=changes")
    expect(page.locator("#changes-words")).to_have_text("1 row removed.", timeout=MINUTE)
    page.goto(f"{server.url}/tasks?task=many&version=2&sort=longest-prompt")
    expect(page.locator(".sd-pages")).to_contain_text("39,999 rows", timeout=MINUTE)
