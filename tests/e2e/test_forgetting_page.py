"""Runs are set side by side, probes chosen, forgotten items opened; words explain themselves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from storage.database import Database, open_database
from storage.models import Run
from tests.e2e.conftest import LiveServer
from tests.views.stored_runs import add_run, add_scores, add_sequence


@pytest.fixture
def database(server: LiveServer) -> Iterator[Database]:
    database = open_database(f"sqlite:///{server.home / 'lab.sqlite'}")
    yield database
    database.close()


def scored(database: Database, name: str, group: str) -> Run:
    config = {
        "method": "sft",
        "steps": 10,
        "rollout": {"source": "demonstration"},
        "divergence": {"kind": "nll"},
    }
    run = add_run(database, name, group_id=group, config=config, task="lamps")
    for probe in ("task:lamps", "prior:facts", "prior:instructions"):
        for step in (0, 10):
            scores = {f"<b>item {i}</b>": float((i + step) % 3 > 0) for i in range(12)}
            add_scores(database, run, probe, step, scores)
    return run


def test_runs_and_probes_are_chosen_and_stay_in_the_address(
    server: LiveServer, page: Page, database: Database
) -> None:
    old = scored(database, "old one", "g-old")
    new = [scored(database, name, "g-new") for name in ("first", "second")]
    page.goto(f"{server.url}/forgetting?task=lamps")
    changes = page.locator("#forget-changes tbody tr")
    expect(changes).to_have_count(6)
    expect(page.locator("#forget-scores .sd-chart-panel .main-svg").first).to_be_visible()
    expect(page.locator("#forget-scores .sd-chart-panel")).to_have_count(3)
    expect(page.locator("#forget-words")).to_contain_text("second against first")

    page.locator("label", has_text="old one").get_by_role("checkbox").check()
    expect(changes).to_have_count(9)
    page.locator("#forget-probes label", has_text="prior:instructions").locator("input").uncheck()
    expect(page.locator("#forget-scores .sd-chart-panel")).to_have_count(2)
    expect(changes).to_have_count(6)
    page.locator("#forget-prior").select_option("prior:instructions")
    expect(page.locator("#forget-gain h3")).to_contain_text("prior:instructions")
    page.reload()
    expect(changes).to_have_count(6)
    expect(page.locator("#forget-gain h3")).to_contain_text("prior:instructions")
    page.get_by_role("button", name="Show only these").nth(1).click()
    expect(changes).to_have_count(2)
    assert f"runs={old.id}" in page.url
    assert new[0].id not in page.url


def test_a_sequence_is_chosen_and_its_arms_stand_side_by_side(
    server: LiveServer, page: Page, database: Database
) -> None:
    arms = {"sft": [(0.1, 0.2), (0.9, 0.2), (0.2, 0.8)], "sdft": [(0.1, 0.2), (0.7, 0.3), None]}
    sequence = add_sequence(database, ("lamps", "dates"), arms, "<b>two skills</b>")
    page.goto(f"{server.url}/forgetting")
    page.locator("#forget-sequence-choice").select_option(sequence)
    expect(page.locator("#forget-sequence h2")).to_contain_text("<b>two skills</b>")
    expect(page.locator("#forget-sequence [role=status]")).to_contain_text("3 of 4 stages are done")
    expect(page.locator(".sd-arm")).to_have_count(2)
    expect(page.locator(".sd-arm").first.locator("td.sd-heat")).to_have_count(6)
    expect(page.locator("#forget-figures tbody tr")).to_have_count(2)
    expect(page.locator("#forget-sequence li").first).to_contain_text("lamps -70 points")
    expect(page.locator("#forget-choice fieldset")).to_have_count(0)
    assert f"sequence={sequence}" in page.url
    page.reload()
    expect(page.locator("#forget-figures tbody tr")).to_have_count(2)
    page.locator("#forget-sequence-choice").select_option("")
    expect(page.locator("#forget-figures")).to_have_count(0)
    expect(page.locator("#forget-choice fieldset").first).to_be_visible()


def test_forgotten_items_are_folded_and_shown_as_text(
    server: LiveServer, page: Page, database: Database
) -> None:
    run = scored(database, "forgetful", "g-items")
    page.goto(f"{server.url}/forgetting?runs={run.id}")
    fold = page.locator("#forget-items summary", has_text="Known before, wrong now: 4 of 12").first
    fold.click()
    expect(page.locator("#forget-items td", has_text="asks <b>item 2</b>").first).to_be_visible()
    page.goto(f"{server.url}/forgetting?runs=<img src=x>")
    expect(page.locator(".sd-error")).to_contain_text("no run with scores is called <img src=x>")


def test_a_word_shows_its_sentence_and_leads_to_the_glossary(
    server: LiveServer, page: Page
) -> None:
    page.goto(f"{server.url}/forgetting")
    word = page.locator(".sd-term", has_text="probes")
    popover = word.locator(".sd-popover")
    expect(popover).to_be_hidden()
    word.locator("button").focus()
    expect(popover).to_be_visible()
    expect(popover).to_contain_text("A fixed set of questions")
    page.keyboard.press("Tab")
    expect(popover.locator("a")).to_be_focused()
    page.keyboard.press("Escape")
    expect(popover).to_be_hidden()
    popover.locator("a").evaluate("link => link.click()")
    entry = page.locator("#probe")
    expect(entry).to_be_in_viewport()
    expect(page.locator(".sd-picture").first).to_be_visible()
