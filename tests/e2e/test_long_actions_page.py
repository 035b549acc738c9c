"""What takes long says how far it is, outlives a reload, and ends when asked, leaving nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.cli.command import Command
from tests.e2e.conftest import LiveServer
from tests.lab.tiny_tasks import rows, write_rows

ROWS = 40_000
MINUTE = 60_000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that takes seconds to read and to store."""
    return write_rows(tmp_path_factory.mktemp("large") / "large.jsonl", rows(ROWS))


def choose(server: LiveServer, page: Page, file: Path, name: str) -> None:
    page.goto(f"{server.url}/tasks")
    page.locator("#task-file input[type=file]").set_input_files(file)
    expect(page.locator("#task-file")).to_contain_text("large")
    page.locator("#task-name input, #task-name textarea").first.fill(name)


def test_an_upload_is_cancelled_and_leaves_nothing(
    server: LiveServer, page: Page, large: Path
) -> None:
    choose(server, page, large, "given-up")
    page.locator("#task-add").click()
    work = page.locator("#task-work")
    expect(work).to_contain_text(re.compile(r"large.jsonl: \w+, [\d,]+ rows"))
    page.locator("#task-cancel").click()
    expect(work).to_have_text("Cancelled: nothing was stored.")
    expect(page.locator("#task-cancel")).to_have_count(0)
    expect(page.locator("#task-list")).not_to_contain_text("given-up")
    assert "given-up" not in {task["name"] for task in Command(server.home)("task", "list").done()}
    assert not list((server.home / "uploads").glob("*.partial*"))


def test_an_upload_goes_on_over_a_reload(server: LiveServer, page: Page, large: Path) -> None:
    choose(server, page, large, "kept")
    page.locator("#task-add").click()
    expect(page.locator("#task-work")).to_contain_text("large.jsonl: ")
    page.reload()
    expect(page.locator("#task-list")).to_contain_text("kept", timeout=MINUTE)
    page.wait_for_url(re.compile(r"/tasks\?task=kept&version=1&added=new$"))
    expect(page.locator("#task-open .sd-told")).to_have_text("Added as version 1.")


def test_an_action_that_is_gone_is_answered_in_words(server: LiveServer, page: Page) -> None:
    page.goto(f"{server.url}/tasks?work=<img src=x>")
    expect(page.locator("#task-work")).to_contain_text("is gone with the server that did it")


@pytest.mark.usefixtures("freed_slot")
def test_a_premise_check_is_cancelled_where_it_was_begun(
    server: LiveServer, page: Page, tiny_run: list[str]
) -> None:
    # While this run has the lab's only slot, the check waits and cannot be done too soon.
    Command(server.home)("train", *tiny_run, "--steps", 400).done()
    model = tiny_run[tiny_run.index("--model") + 1]
    page.goto(f"{server.url}/launch?task=lights&model={model}")
    expect(page.locator("#launch-plan")).to_contain_text("of memory", timeout=MINUTE)
    page.locator("#launch-premise").click()
    page.locator("#launch-premise-cancel").click()
    expect(page.locator("#launch-premise-cancel")).to_have_count(0)
    expect(page.locator("#launch-premise")).to_be_visible()
    newest = Command(server.home)("runs").done()[0]
    assert (newest["kind"], newest["state"]) == ("premise", "cancelled")
