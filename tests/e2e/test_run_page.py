"""The buttons of a run's page: stop, download what it learned so far, resume."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.cli.command import Command
from tests.e2e.conftest import LiveServer

MINUTES = 60_000


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("freed_slot")
def test_a_run_is_stopped_taken_home_and_resumed_on_its_page(
    server: LiveServer, page: Page, tiny_run: list[str], tmp_path: Path
) -> None:
    run = Command(server.home)("train", *tiny_run, "--steps", 2_000).done()
    page.goto(f"{server.url}/run?id={run['id']}")
    facts, state = page.locator("#run-summary .sd-facts"), page.locator("#run-summary strong")
    expect(facts).to_contain_text(re.compile(r"step [1-9]\d*/2,?000"), timeout=3 * MINUTES)
    expect(page.locator("#resume")).to_have_count(0)

    page.locator("#stop").click()
    expect(state).to_have_text("cancelled", timeout=MINUTES)
    expect(page.locator("#stop")).to_have_count(0)
    with page.expect_download() as told:
        page.locator("#download-adapter").click()
    told.value.save_as(tmp_path / "adapter.zip")
    with zipfile.ZipFile(tmp_path / "adapter.zip") as archive:
        assert {"adapter_model.safetensors", "README.md"} <= set(archive.namelist())

    page.locator("#resume").click()
    expect(state).to_have_text("running", timeout=3 * MINUTES)
    expect(facts).to_contain_text("attempt 2")
