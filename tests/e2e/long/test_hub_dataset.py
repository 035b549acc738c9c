"""A dataset of the hub in the browser: the real client asks a hub that this machine plays."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.cli.command import Command
from tests.data.fake_hub import serving
from tests.e2e.conftest import LiveServer, Troubles
from tests.lab.tiny_tasks import rows

HTML = "<img src=x onerror=alert(1)>"


def jsonl(count: int, first: int = 0) -> bytes:
    lines = [
        {"frage": f"{HTML} {each['prompt']}", "antwort": each["answer"]}
        for each in rows(count + first)
    ]
    return "".join(json.dumps(line) + "\n" for line in lines[first:]).encode()


@pytest.fixture(scope="module")
def hub_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server of its own: the hub's address is read when its client is imported."""
    folder = tmp_path_factory.mktemp("hub")
    datasets = {
        "me/lights": {
            "README.md": b"# Lights\n",
            "data/train-00000-of-00001.jsonl": jsonl(12),
            "data/test-00000-of-00001.jsonl": jsonl(4, first=20),
        },
        "me/pictures": {"picture.png": b"x"},
    }
    with serving(datasets) as address:
        settings = {"HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_HOME": str(folder / "hf")}
        settings |= {"HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}
        server = LiveServer(folder / "home", folder / "server.log", settings=settings)
        server.home.mkdir()
        server.start()
        yield server
        server.end(signal.SIGTERM)


@pytest.fixture
def opened(hub_lab: LiveServer, context: BrowserContext) -> Iterator[Page]:
    troubles = Troubles(hub_lab.url)
    page = context.new_page()
    troubles.watch(page)
    page.goto(f"{hub_lab.url}/tasks")
    yield page
    assert troubles.found == []


def fetch(page: Page, name: str) -> None:
    page.locator("#task-hub input, #task-hub textarea").first.fill(name)
    page.locator("#task-fetch").click()


def test_a_dataset_is_fetched_looked_at_and_added(hub_lab: LiveServer, opened: Page) -> None:
    page, beside = opened, opened.locator("#task-hub-problem")
    fetch(page, "me/none")
    expect(beside).to_contain_text("hub:me/none: there is no such dataset")
    fetch(page, "me/pictures")
    expect(beside).to_contain_text("it has no data files that the lab can read")
    fetch(page, "../../etc/passwd")
    expect(beside).to_contain_text("this is no dataset's name")

    fetch(page, "https://huggingface.co/datasets/me/lights")
    preview = page.locator("#task-preview")
    expect(preview.locator("h3").first).to_contain_text("me--lights")
    expect(preview).to_contain_text("a folder of files")
    expect(preview).to_contain_text(HTML)
    expect(beside).to_have_count(0)
    page.locator("#task-name input, #task-name textarea").first.fill("from-hub")
    page.locator("#task-check").click()
    expect(page.locator("#task-report h3")).to_have_text(
        "This file would become from-hub@1: 12 training rows, 4 held out"
    )
    page.locator("#task-add").click()
    page.wait_for_url(re.compile("task=from-hub&version=1&added=new"))
    (version,) = Command(hub_lab.home)("task", "show", "from-hub").done()["versions"]
    assert (version["split"]["by"], version["origin"]["format"]) == ("column", "folder")
    assert list(Path(hub_lab.home, "uploads").glob("*.zip"))
