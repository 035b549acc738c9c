"""The upload form in a real browser: what a file is, which column is what, what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.cli.command import Command
from tests.e2e.conftest import LiveServer

HTML = "<img src=x onerror=alert(1)>"


def write(path: Path, count: int, faulty: int = 0) -> Path:
    """Rows whose columns nobody could guess, the last ones without an answer."""
    rows = [
        {"q": f"Light {i} please {HTML}", "a": f"light.on({i})", "kind": ["lamp", "door"][i % 2]}
        for i in range(count)
    ]
    rows += [{"q": f"Light {i}", "a": "", "kind": "lamp"} for i in range(faulty)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def choose(page: Page, server: LiveServer, file: Path) -> None:
    page.goto(f"{server.url}/tasks")
    page.locator("#task-file input[type=file]").set_input_files(file)
    expect(page.locator("#task-preview h3").first).to_contain_text(file.name)


def pick(page: Page, role: str, column: str) -> None:
    column_of = page.get_by_label(f"Column for {role}")
    column_of.focus()
    column_of.select_option(column)


def option(page: Page, field: str, name: str) -> None:
    page.locator(f"{field} input").first.click()
    page.get_by_role("option", name=name).click()


def test_a_file_is_mapped_checked_and_added(server: LiveServer, page: Page, tmp_path: Path) -> None:
    choose(page, server, write(tmp_path / "lamps.jsonl", 12, faulty=60))
    preview, report = page.locator("#task-preview"), page.locator("#task-report")
    expect(preview).to_contain_text("JSON Lines, UTF-8")
    expect(preview).to_contain_text("no column is known to hold the prompt")
    expect(preview.locator(".sd-first-rows th")).to_have_text(["Row", "q", "a", "kind"])
    page.locator("#task-name input, #task-name textarea").first.fill("porch")
    page.locator("#task-check").click()
    expect(page.locator("#task-preview-problem")).to_contain_text("say which one under Columns")

    pick(page, "prompt", "q")
    expect(preview.locator(".sd-incomplete")).to_contain_text("hold the demonstration")
    expect(page.locator("#task-preview-problem")).to_have_count(0)
    pick(page, "demonstration", "a")
    expect(preview.locator(".sd-first-rows td").nth(2)).to_have_text("light.on(0)")
    expect(preview.locator(".sd-first-rows td").nth(1)).to_have_text(f"Light 0 please {HTML}")
    expect(preview).to_contain_text("First 72 rows looked at: 60 faulty.")
    pick(page, "tags", "kind")
    expect(preview.locator(".sd-first-rows th").last).to_have_text("Tags")
    expect(preview.get_by_label("Column for tags")).to_be_focused()

    option(page, "#task-held-out-by", "Rows with a tag")
    option(page, "#task-names", "door (6)")
    page.keyboard.press("Escape")
    page.locator("#task-check").click()
    expect(report.locator("h3")).to_have_text("Nothing can be added as it is")
    expect(report.locator("tbody tr")).to_have_count(50)
    expect(report).to_contain_text("The first 50 of 60 problems.")
    with page.expect_download() as told:
        report.get_by_text("Download 60 faulty rows").click()
    assert told.value.suggested_filename == "lamps.faulty.jsonl"
    lines = Path(told.value.path()).read_text("utf-8").splitlines()
    assert json.loads(lines[0])["content"] == {"q": "Light 0", "a": "", "kind": "lamp"}

    page.locator("#task-keep-good input").check()
    page.locator("#task-check").click()
    expect(report.locator("h3")).to_have_text(
        "This file would become porch@1: 6 training rows, 6 held out"
    )
    expect(report).to_contain_text("Held out: rows with the tag door.")
    option(page, "#task-scorer", "json")
    page.locator("#task-check").click()
    expect(report).to_contain_text("the scorer json does not suit 6 of 6 held-out rows")
    page.locator("#task-add").click()
    expect(page.locator("#task-open .sd-told")).to_have_text("Added as version 1.")
    (version,) = Command(server.home)("task", "show", "porch").done()["versions"]
    assert (version["origin"]["left_out"], version["split"]["by"]) == (60, "tag")

    choose(page, server, write(tmp_path / "more.jsonl", 8))
    expect(preview).to_contain_text("Files of porch@1 with these columns were read otherwise")
    page.locator("#task-name input, #task-name textarea").first.fill("porch")
    page.locator("#task-file").click(trial=True)
    page.keyboard.press("Tab")
    expect(preview).to_contain_text("The columns are those of porch@1")
    expect(preview.locator(".sd-columns")).to_contain_text("as in porch@1")


def test_a_file_that_cannot_be_read_is_told_of_at_once(
    server: LiveServer, page: Page, tmp_path: Path
) -> None:
    file = tmp_path / "latin.csv"
    file.write_bytes("prompt,answer\nGrüße,café\n".encode("latin-1"))
    page.goto(f"{server.url}/tasks")
    page.locator("#task-file input[type=file]").set_input_files(file)
    expect(page.locator("#task-file-problem")).to_contain_text("it looks like Windows-1252")
    expect(page.locator("#task-preview")).to_be_hidden()
    page.locator("#task-sample").click()
    expect(page.locator("#task-preview h3").first).to_contain_text("sample.jsonl")
    expect(page.locator("#task-file-problem")).to_have_count(0)
