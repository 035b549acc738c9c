"""From a file to an adapter without a terminal, on the real small model."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import LiveServer, Troubles
from tests.integration.plain_peft import plain_logits

MINUTES = 60_000
SETTINGS = """
evaluate: {probes: [task, 'prior:facts'], along: [task], limit: 2, along_limit: 2,
  facts_limit: 4, max_new_tokens: 4, premise: false}
traces: {every: 1, watched: 1, sampled: 1}
"""


@pytest.mark.timeout(900)  # two runs of the real model beside a browser, on two busy cores
@pytest.mark.usefixtures("freed_slot")
def test_a_file_becomes_an_adapter(
    server: LiveServer, page: Page, troubles: Troubles, tmp_path: Path, bundled_models: Path
) -> None:
    good, broken = tmp_path / "wishes.jsonl", tmp_path / "broken.jsonl"
    rows = [{"prompt": f"Light {i} please", "demonstration": f"light.on({i})"} for i in range(24)]
    good.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    broken.write_text('{"prompt": "Light 1 please", "demonstration": ""}\n', "utf-8")

    page.goto(f"{server.url}/tasks")
    page.locator("#task-file input[type=file]").set_input_files(broken)
    page.locator("#task-name input, #task-name textarea").first.fill("wishes")
    page.locator("#task-check").click()
    faulty = page.locator("#task-report tbody tr")
    expect(faulty).to_have_text(
        ['1demonstration"demonstration" is emptyadd a response or remove the row']
    )
    page.locator("#task-add").click()
    expect(page.locator("#task-report h3")).to_have_text("Nothing can be added as it is")
    expect(page.locator("#task-list")).not_to_contain_text("wishes")

    page.goto(f"{server.url}/tasks")
    page.locator("#task-file input[type=file]").set_input_files(good)
    page.locator("#task-name input, #task-name textarea").first.fill("wishes")
    page.locator("#task-add").click()
    expect(page.locator("#task-list")).to_contain_text("wishes")

    page.goto(f"{server.url}/launch?task=wishes&method=sdft/small-model")
    # Only then are the fields filled from the address.
    expect(page.locator("#launch-plan")).to_contain_text("of memory", timeout=MINUTES)
    page.locator("#launch-steps input").fill("2")
    page.locator("#launch-batch-size input").fill("2")
    page.locator("#launch-evaluate-every input").fill("1")
    page.locator("#launch-more button").first.click()
    # At once: the box stands there before its fold opens.
    page.locator("#launch-settings textarea").fill(SETTINGS)
    page.locator("#launch-baseline input").check()
    expect(page.locator("#launch-plan")).to_contain_text("sft/small-model: about")
    expect(page.locator("#launch-yaml")).to_contain_text("steps: 2")
    expect(page.locator("#launch-yaml")).to_contain_text("facts_limit: 4")
    page.locator("#launch-go").click()
    page.wait_for_url(re.compile(r"/run\?id="), timeout=MINUTES)

    run = page.url.partition("id=")[2]
    # It waits for its baseline: beside other work on two cores, 165 s of being queued were seen.
    expect(page.locator("#run-summary strong")).to_have_text("done", timeout=8 * MINUTES)
    page.goto(f"{server.url}/traces?run={run}")
    token = page.locator("#trace-student-tokens .sd-tok").first
    token.hover()
    expect(page.locator("#trace-panel")).to_be_visible()
    page.goto(f"{server.url}/forgetting?runs={run}")
    expect(page.locator("#forget-words")).to_contain_text("after 2 steps")

    page.goto(f"{server.url}/run?id={run}")
    with page.expect_download() as told:
        page.locator("#download-adapter").click()
    told.value.save_as(tmp_path / "adapter.zip")
    with zipfile.ZipFile(tmp_path / "adapter.zip") as archive:
        archive.extractall(tmp_path / "adapter")
    base = next(folder for folder in bundled_models.iterdir() if (folder / "config.json").exists())
    logits = plain_logits(base, tmp_path / "adapter", "Light 3 please", tmp_path)
    assert not logits["plain"].equal(logits["adapted"])
