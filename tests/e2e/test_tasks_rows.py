"""A stored task on its page: found, edited, written, compared, scored, measured and searched."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.cli.command import Command
from tests.e2e.conftest import LiveServer
from tests.lab.tiny_tasks import rows, write_rows

SCRIPT = "<script>document.title='read as HTML'</script>"


@pytest.fixture(scope="module")
def task(server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A task with rows of several lengths and a held-out row that nearly is a training row."""
    content = [
        *rows(60),
        {"id": "html", "prompt": f"say {SCRIPT}", "answer": "<b>no</b>", "tags": ["hostile"]},
        {"id": "long", "prompt": "long " * 30, "answer": "light.on(0)"},
    ]
    apart = [
        {"id": "apart", "prompt": "what is question 999?", "answer": "light.on(999)"},
        {"id": "other", "prompt": "what is question 998?", "answer": "light.on(998)"},
        {"id": "near", "prompt": f"say please {SCRIPT}", "answer": "<b>no</b>"},
    ]
    folder = tmp_path_factory.mktemp("shelf")
    held_out = write_rows(folder / "apart.jsonl", apart)
    file = write_rows(folder / "rows.jsonl", content)
    Command(server.home)("task", "add", file, "--name", "shelf", "--held-out", held_out).done()
    return "shelf"


def shown(page: Page) -> list[str]:
    return page.locator("#task-rows .sd-row .sd-number").all_inner_texts()


def save(page: Page) -> None:
    page.locator("#edits-save").click()


def test_rows_are_found_ordered_and_shown_as_text(
    server: LiveServer, page: Page, task: str
) -> None:
    page.goto(f"{server.url}/tasks?task={task}&version=1")
    expect(page.locator(".sd-pages")).to_contain_text("page 1 of 2, 65 rows")
    page.locator("#rows-sort").select_option("longest-prompt")
    expect(page.locator("#task-rows .sd-row .sd-number").first).to_have_text("62")
    page.locator("#rows-find").fill("HOSTILE")
    page.locator("#rows-find").press("Enter")
    expect(page.locator(".sd-pages")).to_contain_text("1 row of 65")
    assert shown(page) == ["61"]
    page.locator("#task-rows .sd-row").click()
    expect(page.locator("#task-prompts")).to_contain_text(SCRIPT)
    page.reload()
    expect(page.locator("#rows-find")).to_have_value("HOSTILE")
    assert shown(page) == ["61"]
    assert page.title() != "read as HTML"
    assert page.locator("#task-rows script, #task-rows b").count() == 0


def test_edits_make_a_version_of_the_one_that_is_shown(
    server: LiveServer, page: Page, task: str
) -> None:
    page.goto(f"{server.url}/tasks?task={task}&version=1&row=2")
    page.locator("#fold-edit").click()
    page.locator("#edit-demonstration").fill("light.off(2)")
    # Somebody else makes a version meanwhile.
    Command(server.home)("task", "edit", task, "--exclude", 5).done()
    page.locator("[data-key=row-3]").click()
    expect(page.locator("[data-key=row-3]")).to_have_attribute("aria-expanded", "true")
    page.locator("#row-exclude").click()
    page.locator("#rows-add").click()
    page.locator("#new-prompt-1").fill("question 1")
    bar = page.locator(".sd-edit-bar")
    expect(bar).to_contain_text(f"to {task}@1: row 2 changed; row 3 left out; 1 row added")
    save(page)
    # The same message as on the command line, and nothing of what was typed is gone.
    expect(bar).to_contain_text('"demonstration" is empty')
    page.reload()
    page.locator("#new-demonstration-1").fill("light.on(1)")
    save(page)
    expect(bar).to_contain_text("it is the same as row 1")
    page.locator("#new-prompt-1").fill("question new")
    save(page)
    page.wait_for_url(re.compile(rf"task={task}&version=3&added=edited"))
    told = page.locator("#task-open .sd-told")
    expect(told).to_have_text(
        "Version 3 was made by hand from @1: 1 row changed, 1 row left out, 1 row added. "
        "It holds nothing of what came between."
    )
    expect(page.locator(".sd-edit-bar")).to_be_hidden()
    page.locator("[data-key=show-changes]").click()
    expect(page.locator("#changes-words")).to_have_text(
        "1 row changed, 1 row added, 1 row removed."
    )
    expect(page.locator(".sd-added .sd-differs")).to_have_text("off")
    page.wait_for_url(re.compile("version=3.*against=1"))
    page.locator("#changes-against").select_option("2")
    expect(page.locator("#changes-words")).to_contain_text("2 rows added")
    link = page.locator("#task-export").get_attribute("href")
    lines = httpx.get(f"{server.url}/{link}").text.splitlines()
    assert len(lines) == 65
    assert json.loads(lines[1])["messages"][-1]["content"] == "light.off(2)"


def test_an_answer_is_scored_on_the_spot(server: LiveServer, page: Page, task: str) -> None:
    page.goto(f"{server.url}/tasks?task={task}&version=1&part=held_out&row=63")
    page.locator("#fold-trial").click()
    page.locator("#trial-answer").fill("it is light.on(999)")
    page.locator("#trial-go").click()
    result = page.locator("#trial-result")
    expect(result).to_contain_text("0.00 by exact: ")
    page.locator("#trial-scorer").fill("contains")
    page.locator("#trial-go").click()
    expect(result).to_contain_text("1.00 by contains: ")
    page.locator("#trial-scorer").fill("code")
    page.locator("#trial-go").click()
    expect(result).to_contain_text("SDLAB_RUN_CODE=confined")
    page.locator("#trial-scorer").fill("none")
    page.locator("#trial-go").click()
    expect(result).to_contain_text('there is no scorer "none"')


def test_a_task_is_written_in_the_browser(server: LiveServer, page: Page) -> None:
    page.goto(f"{server.url}/tasks")
    page.locator("#write-open").click()
    page.locator("#write-name").fill("by hand")
    for place in (1, 2, 3):
        page.locator(f"#write-prompt-{place}").fill(f"ask {place}")
        page.locator(f"#write-demonstration-{place}").fill(f"say {place}")
    page.locator("#write-more").click()
    page.locator("#write-prompt-4").fill("ask 4")
    page.locator("#write-go").click()
    beside = page.locator("#task-write .sd-problem")
    expect(beside).to_contain_text("cannot be a task's name")
    page.locator("#write-name").fill("by-hand")
    page.locator("#write-go").click()
    expect(page.locator("label:has(#write-demonstration-4) .sd-problem")).to_contain_text(
        '"demonstration" is empty'
    )
    page.locator("#write-demonstration-4").fill("say 4")
    page.locator("#write-go").click()
    page.wait_for_url(re.compile("task=by-hand&version=1&added=new"))
    expect(page.locator("#task-open")).to_contain_text("3 training rows, 1 held out")
    page.goto(f"{server.url}/tasks")
    page.locator("#write-open").click()
    expect(page.locator("#write-name")).to_have_value("")


def test_lengths_are_drawn_with_the_models_limit(
    server: LiveServer, page: Page, task: str, tiny_folder: Path
) -> None:
    page.goto(f"{server.url}/tasks?task={task}&version=1&show=lengths&model={tiny_folder}")
    expect(page.locator("#task-lengths-chart .scatterlayer .trace")).to_have_count(5)
    expect(page.locator("#task-lengths")).to_contain_text("All 65 rows were counted.")
    expect(page.locator("#task-lengths tr[aria-current]")).to_contain_text("what the model reads")
    page.locator("#lengths-new").fill("100000")
    page.locator("#lengths-new").press("Enter")
    expect(page.locator("#task-lengths tr[aria-current]")).to_contain_text("65")
    page.wait_for_url(re.compile("new_tokens=100000"))


@pytest.mark.usefixtures("freed_slot")
def test_near_duplicates_are_searched_for_by_a_job(
    server: LiveServer, page: Page, task: str
) -> None:
    page.goto(f"{server.url}/tasks?task={task}&version=1&show=leaks")
    page.locator("#leaks-start").click()
    expect(page.locator("#leaks-words")).to_contain_text(
        "1 held-out row nearly stands", timeout=60_000
    )
    pair = page.locator("#task-leaks tbody tr")
    expect(pair).to_contain_text("row 65")
    newest = Command(server.home)("runs").done()[0]
    assert (newest["kind"], newest["state"]) == ("leaks", "done")
    pair.get_by_role("link", name="row 61").click()
    expect(page.locator("#task-prompts")).to_be_visible()
